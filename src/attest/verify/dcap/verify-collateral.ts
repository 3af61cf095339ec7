import { equalPublicBytes, PpmlError, toTimestamp } from "../../../base/index.ts";
import type { DcapCollateral } from "../../collateral/dcap-collateral.ts";
import { parseQeIdentity } from "../../collateral/qe-identity.ts";
import type { QeIdentity } from "../../collateral/qe-identity.ts";
import { parseTcbInfo } from "../../collateral/tcb-info.ts";
import type { TcbInfo } from "../../collateral/tcb-info.ts";
import type { Certificate } from "../../x509/certificate.ts";
import { ECDSA_P256_SHA256, verifyChainBelow } from "../../x509/chain.ts";
import type { TrustAnchor } from "../../x509/chain.ts";
import { checkNotRevoked, crlValidity, isRevoked, parseCrl, verifyCrl } from "../../x509/crl.ts";
import type { Crl } from "../../x509/crl.ts";
import { verifyP256Raw } from "../../x509/p256.ts";
import { parseIntelChain, validityOf } from "./intel-chain.ts";
import { parsePart } from "./named-part.ts";
import { intersect } from "./verification.ts";
import type { ValidityInterval } from "./verification.ts";

/** Collateral whose signatures were checked up to the trust anchor. */
export type VerifiedCollateral = {
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
  readonly rootCrl: Crl;
  /** Parsed only: the CA of the PCK chain has to have signed it. */
  readonly pckCrl: Crl;
  /** The time in which all of it but the PCK CRL is good. */
  readonly validity: ValidityInterval;
};

/**
 * Verifies collateral: the root CA's CRL, TCB info and QE identity with their signers' chains, and
 * that each is of `nowMs`.
 * @throws attest.invalid, attest.unsupported, attest.not_verified, attest.collateral, attest.revoked
 * @see docs/attestation.md section "DCAP verification"
 */
export function verifyCollateral(
  collateral: DcapCollateral,
  options: { readonly anchor: TrustAnchor; readonly nowMs: number },
): VerifiedCollateral {
  const { anchor, nowMs } = options;
  const rootCrl = verifyRootCrl(collateral.rootCaCrl, options);
  const signerOptions = { anchor, nowMs, rootCrl };
  const tcbSigner = verifySigner(collateral.tcbInfoIssuerChain, {
    ...signerOptions,
    what: "the TCB info's issuer chain",
  });
  // Intel signs both with one key: the same chain is not verified twice.
  const qeSigner = equalPublicBytes(collateral.tcbInfoIssuerChain, collateral.qeIdentityIssuerChain)
    ? tcbSigner
    : verifySigner(collateral.qeIdentityIssuerChain, {
        ...signerOptions,
        what: "the QE identity's issuer chain",
      });
  verifyStatement(collateral.tcbInfo, {
    signature: collateral.tcbInfoSignature,
    signer: tcbSigner,
    what: "the TCB info",
  });
  verifyStatement(collateral.qeIdentity, {
    signature: collateral.qeIdentitySignature,
    signer: qeSigner,
    what: "the QE identity",
  });
  const tcbInfo = parseTcbInfo(collateral.tcbInfo);
  checkDates(tcbInfo, nowMs, "the TCB info");
  const qeIdentity = parseQeIdentity(collateral.qeIdentity);
  checkDates(qeIdentity, nowMs, "the QE identity");
  return {
    tcbInfo,
    qeIdentity,
    rootCrl,
    pckCrl: parsePart("the PCK CRL", () => parseCrl(collateral.pckCrl)),
    validity: intersect([
      crlValidity(rootCrl),
      ...validityOf([tcbSigner, qeSigner]),
      statementValidity(tcbInfo),
      statementValidity(qeIdentity),
    ]),
  };
}

/** When a statement was issued, and when its successor is due. */
export function statementValidity(
  statement: Pick<TcbInfo, "issueDate" | "nextUpdate">,
): ValidityInterval {
  return { fromMs: statement.issueDate, toMs: statement.nextUpdate };
}

function verifyRootCrl(
  der: Uint8Array,
  { anchor, nowMs }: { readonly anchor: TrustAnchor; readonly nowMs: number },
): Crl {
  const what = "the root CA's CRL";
  const crl = parsePart(what, () => parseCrl(der));
  verifyCrl(crl, {
    issuer: { name: anchor.name, key: anchor.publicKey },
    algorithm: ECDSA_P256_SHA256,
    nowMs,
    what,
  });
  if (isRevoked(crl, anchor.serial))
    throw new PpmlError("attest.revoked", "the root CA's CRL revokes the root certificate itself");
  return crl;
}

/** The signer of TCB info or QE identity: certified by the root itself, no authority, not revoked. */
function verifySigner(
  pem: Uint8Array,
  options: {
    readonly anchor: TrustAnchor;
    readonly nowMs: number;
    readonly rootCrl: Crl;
    readonly what: string;
  },
): Certificate {
  const { leaf, below } = parseIntelChain(pem, { ...options, authorities: 0 });
  verifyChainBelow({ ...options, certificates: below, algorithm: ECDSA_P256_SHA256 });
  checkNotRevoked(leaf, options.rootCrl);
  return leaf;
}

function verifyStatement(
  json: Uint8Array,
  options: {
    readonly signature: Uint8Array;
    readonly signer: Certificate;
    readonly what: string;
  },
): void {
  const { signature, signer, what } = options;
  if (!verifyP256Raw(json, signer.issuerKey, signature))
    throw new PpmlError(
      "attest.not_verified",
      `${what} is not signed by its signer's key: its bytes were changed, or the signature is of another one`,
    );
}

function checkDates(
  { issueDate, nextUpdate }: Pick<TcbInfo, "issueDate" | "nextUpdate">,
  nowMs: number,
  what: string,
): void {
  // Written so that a NaN is refused.
  if (!(nowMs >= issueDate && nowMs <= nextUpdate))
    throw new PpmlError(
      "attest.collateral",
      `${what} is of ${toTimestamp(issueDate)} and due for an update at ${toTimestamp(nextUpdate)}, not good at ${Number.isFinite(nowMs) ? toTimestamp(nowMs) : nowMs}: fetch the collateral again`,
    );
}
