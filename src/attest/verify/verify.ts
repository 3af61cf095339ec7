import { fromBase64Url, fromUtf8, PpmlError } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import type { TdxEvidence } from "../evidence/dcap-evidence.ts";
import type { HardwareEvidence } from "../evidence/evidence.ts";
import { verifyAzureVtpmEvidence } from "./azure-vtpm.ts";
import type { DcapCache } from "./dcap/cache.ts";
import { verifyDcapEvidence } from "./dcap/verify-dcap.ts";
import type { MaaProvider } from "./maa-providers.ts";
import { verifyMaaToken } from "./maa-token.ts";
import { verifySnpEvidence } from "./snp.ts";
import { tdQuoteByDcap } from "./td-quote.ts";
import type { Verified } from "./verified.ts";

/** Facts that a verification needs besides the Evidence. */
export type VerifyOptions = {
  /** Validity is checked for this time: milliseconds since 1970. */
  readonly nowMs: number;
  /** The providers of MAA whose tokens are taken; none: no token is. */
  readonly maaProviders: readonly MaaProvider[];
  /** A token is taken for so long after it was issued, in seconds; MAA's are good for eight hours. */
  readonly maaMaxAgeSeconds: number;
  /** Remembers verified DCAP collateral and PCK chains. */
  readonly dcapCache?: DcapCache;
};

/**
 * Verifies Evidence of hardware, for production, up to the vendors' pinned roots. Nothing here
 * reaches the simulation's code: every `sim-*` type is refused. What the Evidence binds is not
 * compared here: an appraisal always does.
 * @throws attest.collateral, attest.denied, attest.invalid, attest.not_verified, attest.revoked,
 *   attest.simulated, attest.unsupported
 */
export async function verifyEvidence(
  wire: WireEvidence,
  options: VerifyOptions,
): Promise<Verified<HardwareEvidence>> {
  const { nowMs } = options;
  if (wire.type.startsWith("sim-"))
    throw new PpmlError(
      "attest.simulated",
      `expected Evidence of hardware, got ${wire.type}: simulated Evidence proves nothing about a machine; run the job in a TEE, or use a vault made for simulation`,
      { detail: { type: wire.type } },
    );
  switch (wire.type) {
    case "sgx":
    case "tdx":
      return verifyDcapEvidence(wire, cacheOf(options));
    case "snp":
      return verifySnpEvidence(wire, { nowMs });
    case "az-snp-vtpm":
    case "az-tdx-vtpm":
      return verifyAzureVtpmEvidence<TdxEvidence>(wire, {
        nowMs,
        qualifyingData: "not-compared",
        // The least that it can promise: a policy may say that the VM itself is the workload.
        snpProfile: "snp-node",
        verifyTdQuote: tdQuoteByDcap(options.dcapCache),
      });
    case "maa":
      return await verifyMaaToken(maaTokenOf(wire), {
        providers: options.maaProviders,
        runtimeData: { kind: "not-compared" },
        nonce: "in-runtime-data",
        maxAgeSeconds: options.maaMaxAgeSeconds,
        nowMs,
      });
    default:
      throw new PpmlError(
        "attest.unsupported",
        `Evidence of type ${wire.type} is not known to this version`,
        { detail: { type: wire.type } },
      );
  }
}

function cacheOf({ nowMs, dcapCache }: VerifyOptions): {
  readonly nowMs: number;
  readonly cache?: DcapCache;
} {
  return dcapCache === undefined ? { nowMs } : { nowMs, cache: dcapCache };
}

/**
 * The token of Evidence of type maa; it comes without collateral, its provider's keys are pinned.
 * @throws attest.invalid
 */
export function maaTokenOf(wire: WireEvidence): string {
  if (Object.keys(wire.collateral).length > 0)
    throw new PpmlError("attest.invalid", "expected no collateral with a token");
  try {
    return fromUtf8(fromBase64Url(wire.evidence));
  } catch (cause) {
    throw new PpmlError("attest.invalid", "expected a token in base64url in evidence", { cause });
  }
}
