import { equalPublicBytes, PpmlError, toHex } from "../../../base/index.ts";
import { checkedCollateral } from "../../collateral/dcap-collateral.ts";
import type { DcapCollateral } from "../../collateral/dcap-collateral.ts";
import type { QeIdentity } from "../../collateral/qe-identity.ts";
import type { TcbStatus } from "../../collateral/tcb-status.ts";
import {
  ECDSA_P256_ATTESTATION_KEY,
  INTEL_QE_VENDOR_ID,
  parseDcapQuote,
} from "../../evidence/dcap-quote.ts";
import type { DcapQuote, DcapQuoteHeader } from "../../evidence/dcap-quote.ts";
import type { TrustAnchor } from "../../x509/chain.ts";
import type { PckPlatform } from "../../x509/sgx-extension.ts";
import { collateralKey, pckKey, qeKey, recall } from "./cache.ts";
import type { DcapCache } from "./cache.ts";
import { converge, mergeAdvisories } from "./converge.ts";
import { pckChainOf, verifyPckChain } from "./pck-chain.ts";
import type { VerifiedPck } from "./pck-chain.ts";
import { verifyQe, verifyQuoteSignature } from "./qe-report.ts";
import { adviseRelaunch } from "./relaunch.ts";
import { findTcbLevel, requireTcbInfoOf } from "./tcb-level.ts";
import { checkTdAttributes, checkTdxModule, evaluateTdxTcb } from "./tdx-module.ts";
import { intersect } from "./verification.ts";
import type { DcapVerification, TcbFinding } from "./verification.ts";
import { statementValidity, verifyCollateral } from "./verify-collateral.ts";
import type { VerifiedCollateral } from "./verify-collateral.ts";

/** A quote with what its verification found. */
export type VerifiedQuote = {
  readonly quote: DcapQuote;
  readonly verification: DcapVerification;
};

/** What a verification of a quote needs. */
export type VerifyQuoteOptions = {
  /** The quote's bytes, at most 128 KiB. */
  readonly quote: Uint8Array;
  readonly collateral: DcapCollateral;
  /** Validity is checked for this time: milliseconds since 1970. */
  readonly nowMs: number;
  readonly cache?: DcapCache;
};

/**
 * Verifies a quote up to a trust anchor, in this order: collateral, PCK chain, Quoting Enclave, the
 * quote's signature, then the TCB of platform, TDX module and QE.
 * @throws attest.invalid, attest.unsupported, attest.not_verified, attest.collateral, attest.revoked
 * @see docs/attestation.md section "DCAP verification"
 */
export function verifyQuoteUnder(anchor: TrustAnchor, options: VerifyQuoteOptions): VerifiedQuote {
  const { nowMs, cache } = options;
  const quote = parseDcapQuote(options.quote);
  const { signature } = quote;
  checkHeader(quote.header);
  const given = checkedCollateral(options.collateral);
  const key = cache === undefined ? "" : collateralKey(given, anchor);
  const collateral = recall(cache?.collateral, {
    key,
    nowMs,
    verify: () => verifyCollateral(given, { anchor, nowMs }),
  });
  requireIdentityOf(quote.tee, collateral.qeIdentity);
  const chain = pckChainOf(signature.certificationData, given);
  const chainKey = cache === undefined ? "" : pckKey(chain, key);
  const pck = recall(cache?.pck, {
    key: chainKey,
    nowMs,
    verify: () => verifyPckChain(chain, { anchor, nowMs, ...collateral }),
  });
  const { attestationKey, level } = recall(cache?.qe, {
    key: cache === undefined ? "" : qeKey(signature, chainKey),
    nowMs,
    verify: () => verifyQe(signature, { pck, identity: collateral.qeIdentity }),
  });
  verifyQuoteSignature(quote.signedBytes, {
    key: attestationKey,
    signature: signature.quoteSignature,
  });
  const qe = {
    status: level.tcbStatus,
    tcbDateMs: level.tcbDate,
    advisoryIds: [...level.advisoryIDs],
    isvSvn: signature.qeReport.isvSvn,
  };
  const tcb = evaluateTcb(quote, { collateral, platform: pck.platform, qe: qe.status });
  return { quote, verification: describe({ collateral, pck, qe, tcb }) };
}

type TcbOutcome = {
  readonly status: DcapVerification["tcbStatus"];
  readonly platform: TcbFinding;
  readonly currentPlatform: TcbFinding | null;
};

/** Platform, TDX module and QE together; for a TD 1.5 the launch is compared with the present. */
function evaluateTcb(
  quote: DcapQuote,
  options: {
    readonly collateral: VerifiedCollateral;
    readonly platform: PckPlatform;
    readonly qe: TcbStatus;
  },
): TcbOutcome {
  const { platform, qe } = options;
  const { tcbInfo } = options.collateral;
  requireTcbInfoOf(tcbInfo, { tee: quote.tee, platform });
  if (quote.tee === "sgx") {
    const level = findTcbLevel(tcbInfo, { platform, teeTcbSvn: null });
    const finding: TcbFinding = {
      status: level.tcbStatus,
      tcbDateMs: level.tcbDate,
      advisoryIds: [...level.advisoryIDs],
    };
    const status = requireNotRevoked(converge(finding.status, qe));
    return { status, platform: finding, currentPlatform: null };
  }
  const { teeTcbSvn, td15 } = quote.body;
  const launch = evaluateTdxTcb(tcbInfo, { platform, teeTcbSvn });
  checkTdAttributes(quote.body);
  checkTdxModule(tcbInfo, quote.body);
  const status = requireNotRevoked(converge(launch.status, qe));
  if (td15 === null) return { status, platform: launch, currentPlatform: null };
  const current = evaluateTdxTcb(tcbInfo, { platform, teeTcbSvn: td15.teeTcbSvn2 });
  const currentStatus = requireNotRevoked(converge(current.status, qe));
  return {
    status: requireNotRevoked(adviseRelaunch(status, currentStatus)),
    platform: launch,
    currentPlatform: current,
  };
}

function checkHeader(header: DcapQuoteHeader): void {
  if (!equalPublicBytes(header.qeVendorId, INTEL_QE_VENDOR_ID))
    throw new PpmlError(
      "attest.unsupported",
      `expected a quote of Intel's Quoting Enclave, got QE vendor ${toHex(header.qeVendorId)}`,
    );
  if (header.attestationKeyType !== ECDSA_P256_ATTESTATION_KEY)
    throw new PpmlError(
      "attest.unsupported",
      `expected attestation key type 2 (ECDSA P-256), got ${header.attestationKeyType}`,
    );
}

/** An identity of the QE that makes this kind of quote. */
function requireIdentityOf(tee: DcapQuote["tee"], { id, version }: QeIdentity): void {
  const expected = tee === "sgx" ? "QE" : "TD_QE";
  if (id !== expected || (tee === "sgx" && version !== 2))
    throw new PpmlError(
      "attest.collateral",
      `expected the QE identity ${expected}, got ${id} of version ${version}: fetch it for the quote's kind`,
    );
}

/** Keys of a revoked TCB are compromised: no policy can accept it. */
function requireNotRevoked(status: TcbStatus): DcapVerification["tcbStatus"] {
  if (status !== "Revoked") return status;
  throw new PpmlError(
    "attest.revoked",
    "Intel revoked the TCB of this platform, its TDX module or its Quoting Enclave: update it and certify it again",
  );
}

/** The result, none of whose bytes are shared with the cache. */
function describe(options: {
  readonly collateral: VerifiedCollateral;
  readonly pck: VerifiedPck;
  readonly qe: DcapVerification["qe"];
  readonly tcb: TcbOutcome;
}): DcapVerification {
  const { collateral, pck, qe, tcb } = options;
  const { tcbInfo, qeIdentity, rootCrl } = collateral;
  const platform = copyPlatform(pck.platform);
  return {
    tcbStatus: tcb.status,
    advisoryIds: mergeAdvisories(tcb.platform.advisoryIds, qe.advisoryIds),
    platform: tcb.platform,
    currentPlatform: tcb.currentPlatform,
    qe,
    tcbEvaluationDataNumber: Math.min(
      tcbInfo.tcbEvaluationDataNumber,
      qeIdentity.tcbEvaluationDataNumber,
    ),
    fmspc: platform.fmspc,
    pck: platform,
    validity: intersect([collateral.validity, pck.validity]),
    collateral: {
      tcbInfo: statementValidity(tcbInfo),
      qeIdentity: statementValidity(qeIdentity),
      rootCaCrl: { fromMs: rootCrl.thisUpdateMs, toMs: rootCrl.nextUpdateMs },
      pckCrl: pck.pckCrl,
    },
  };
}

function copyPlatform(platform: PckPlatform): PckPlatform {
  return {
    ...platform,
    ppid: platform.ppid.slice(),
    tcbComponents: [...platform.tcbComponents],
    cpuSvn: platform.cpuSvn.slice(),
    pceId: platform.pceId.slice(),
    fmspc: platform.fmspc.slice(),
    platformInstanceId: platform.platformInstanceId?.slice() ?? null,
  };
}
