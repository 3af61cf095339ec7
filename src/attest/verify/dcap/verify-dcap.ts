import { fromBase64Url, PpmlError } from "../../../base/index.ts";
import type { WireEvidence } from "../../../format/protocol.ts";
import { parseDcapWireCollateral } from "../../collateral/dcap-collateral.ts";
import type { SgxEvidence, TdxEvidence } from "../../evidence/dcap-evidence.ts";
import { mintVerified } from "../verified.ts";
import type { Verified } from "../verified.ts";
import type { DcapCache } from "./cache.ts";
import { intelTrustAnchor } from "./intel-root.ts";
import { verifyQuoteUnder } from "./verify-quote.ts";
import type { VerifiedQuote, VerifyQuoteOptions } from "./verify-quote.ts";

/**
 * Verifies a quote of hardware up to Intel's root: see `verifyQuoteUnder`. What it found is for an
 * appraisal to judge, debug mode included.
 * @throws attest.invalid, attest.unsupported, attest.not_verified, attest.collateral, attest.revoked
 */
export function verifyDcapQuote(options: VerifyQuoteOptions): VerifiedQuote {
  return verifyQuoteUnder(intelTrustAnchor(), options);
}

/**
 * Verifies Evidence of wire type `sgx` or `tdx`: a quote of that kind, with its collateral in
 * base64url under the names of DcapCollateral.
 * @throws attest.invalid, attest.unsupported, attest.not_verified, attest.collateral, attest.revoked
 * @see docs/protocol.md section "Evidence"
 */
export function verifyDcapEvidence(
  wire: WireEvidence,
  options: { readonly nowMs: number; readonly cache?: DcapCache },
): Verified<SgxEvidence> | Verified<TdxEvidence> {
  if (wire.type !== "sgx" && wire.type !== "tdx")
    throw new PpmlError(
      "attest.unsupported",
      `expected Evidence of type sgx or tdx, got ${wire.type}`,
      { detail: { type: wire.type } },
    );
  const { quote, verification } = verifyDcapQuote({ ...options, ...decodeDcapWire(wire) });
  const minted = { simulated: false, verifiedAt: options.nowMs } as const;
  if (quote.tee === "sgx" && wire.type === "sgx")
    return mintVerified({
      ...minted,
      evidence: { type: "sgx", quote, verification },
      profile: "sgx",
    });
  if (quote.tee === "tdx" && wire.type === "tdx")
    return mintVerified({
      ...minted,
      evidence: { type: "tdx", quote, verification },
      profile: "tdx",
    });
  throw new PpmlError(
    "attest.invalid",
    `expected a quote of ${wire.type} in Evidence of that type, got one of ${quote.tee}`,
  );
}

/** The quote and the collateral of DCAP Evidence on the wire. @throws attest.invalid */
export function decodeDcapWire(
  wire: WireEvidence,
): Pick<VerifyQuoteOptions, "quote" | "collateral"> {
  let quote: Uint8Array;
  try {
    quote = fromBase64Url(wire.evidence);
  } catch (cause) {
    throw new PpmlError("attest.invalid", "expected base64url in evidence", { cause });
  }
  return { quote, collateral: parseDcapWireCollateral(wire.collateral) };
}
