import type { KeyObject } from "node:crypto";
import { concatBytes, equalPublicBytes, PpmlError, sha256, toHex } from "../../../base/index.ts";
import type { QeIdentity, QeTcbLevel } from "../../collateral/qe-identity.ts";
import type { DcapSignature } from "../../evidence/dcap-signature.ts";
import { sgxAttributes } from "../../evidence/sgx-report.ts";
import type { SgxReport } from "../../evidence/sgx-report.ts";
import type { VerifiedPck } from "./pck-chain.ts";
import type { ValidityInterval } from "./verification.ts";
import { importP256Point, verifyP256Raw } from "../../x509/p256.ts";

/** QE Authentication Data of Intel's QEs has 32 bytes. */
const QE_AUTH_DATA_BYTES = 32;

/** A Quoting Enclave that was checked up to its PCK, and against its identity. */
export type VerifiedQe = {
  readonly attestationKey: KeyObject;
  readonly level: QeTcbLevel;
  /** That of the PCK, since nothing of the QE has a time of its own. */
  readonly validity: ValidityInterval;
};

/**
 * Verifies the part of a quote that is the same in all quotes of one attestation key: the QE's report
 * and its identity.
 * @throws attest.not_verified
 */
export function verifyQe(
  signature: DcapSignature,
  options: { readonly pck: VerifiedPck; readonly identity: QeIdentity },
): VerifiedQe {
  const { pck, identity } = options;
  verifyQeReport(signature, pck.publicKey);
  return {
    attestationKey: importPoint(signature.attestationKey),
    level: matchQeIdentity(signature.qeReport, identity),
    validity: pck.validity,
  };
}

/**
 * Verifies who stands behind the attestation key: the PCK signed the Quoting Enclave's report, and
 * that report binds the key: SHA-256 of the key and the QE Authentication Data, then 32 zero bytes.
 * @throws attest.not_verified
 * @see SGX ECDSA QuoteLibReference DCAP API rev. 1.21, A.4 table 4, "QE Report"
 */
function verifyQeReport(signature: DcapSignature, pckKey: KeyObject): void {
  if (!verifyP256Raw(signature.qeReportBytes, pckKey, signature.qeReportSignature))
    throw new PpmlError(
      "attest.not_verified",
      "the Quoting Enclave's report is not signed by the key in the PCK certificate",
    );
  if (signature.qeAuthData.byteLength !== QE_AUTH_DATA_BYTES)
    throw new PpmlError(
      "attest.not_verified",
      `expected ${QE_AUTH_DATA_BYTES} bytes of QE Authentication Data, got ${signature.qeAuthData.byteLength}`,
    );
  const { reportData } = signature.qeReport;
  const bound = sha256(concatBytes(signature.attestationKey, signature.qeAuthData));
  const isBound = equalPublicBytes(reportData.subarray(0, bound.byteLength), bound);
  if (!isBound || reportData.subarray(bound.byteLength).some((byte) => byte !== 0))
    throw new PpmlError(
      "attest.not_verified",
      "the Quoting Enclave's report does not bind this attestation key",
    );
}

/**
 * Verifies the attestation key's signature over the quote's header and body.
 * @throws attest.not_verified
 */
export function verifyQuoteSignature(
  signedBytes: Uint8Array,
  options: { readonly key: KeyObject; readonly signature: Uint8Array },
): void {
  if (!verifyP256Raw(signedBytes, options.key, options.signature))
    throw new PpmlError(
      "attest.not_verified",
      "the quote is not signed by its attestation key: its header or body was changed",
    );
}

/**
 * Compares the Quoting Enclave with the identity that Intel published, under its masks, and gives the
 * TCB level that it meets: the first one whose ISVSVN it reaches.
 * @throws attest.not_verified
 * @see Intel SGX and TDX PCS API v4, Enclave Identity V2, "Enclave TCB status determination"
 */
function matchQeIdentity(report: SgxReport, identity: QeIdentity): QeTcbLevel {
  if (!equalPublicBytes(report.mrSigner, identity.mrsigner))
    throw mismatch("MRSIGNER", toHex(identity.mrsigner), toHex(report.mrSigner));
  if (sgxAttributes(report.attributes).debug)
    throw new PpmlError(
      "attest.not_verified",
      "the Quoting Enclave runs in debug mode: its keys are readable",
    );
  if (report.isvProdId !== identity.isvprodid)
    throw mismatch("ISVPRODID", String(identity.isvprodid), String(report.isvProdId));
  const miscSelect = new Uint8Array(4);
  new DataView(miscSelect.buffer).setUint32(0, report.miscSelect, true);
  requireMasked("MISCSELECT", miscSelect, {
    value: identity.miscselect,
    mask: identity.miscselectMask,
  });
  requireMasked("ATTRIBUTES", report.attributes, {
    value: identity.attributes,
    mask: identity.attributesMask,
  });
  const level = identity.tcbLevels.find(({ tcb }) => report.isvSvn >= tcb.isvsvn);
  if (level === undefined)
    throw new PpmlError(
      "attest.not_verified",
      `the Quoting Enclave's ISVSVN ${report.isvSvn} is below all that its identity lists: update the platform's QE`,
    );
  return level;
}

function requireMasked(
  what: string,
  actual: Uint8Array,
  expected: { readonly value: Uint8Array; readonly mask: Uint8Array },
): void {
  const { value, mask } = expected;
  // All lengths are those of the field. What differs inside the mask differs.
  if (mask.every((bits, index) => (((actual[index] ?? 0) ^ (value[index] ?? 0)) & bits) === 0))
    return;
  const masked = (bytes: Uint8Array): string =>
    toHex(bytes.map((byte, index) => byte & (mask[index] ?? 0)));
  throw mismatch(`masked ${what}`, masked(value), masked(actual));
}

function importPoint(point: Uint8Array): KeyObject {
  try {
    return importP256Point(point);
  } catch (cause) {
    throw new PpmlError(
      "attest.not_verified",
      "the quote's attestation key is not a point of P-256",
      { cause },
    );
  }
}

function mismatch(what: string, expected: string, actual: string): PpmlError {
  return new PpmlError(
    "attest.not_verified",
    `expected a Quoting Enclave with ${what} ${expected}, got ${actual}: it is not the one that the collateral describes`,
  );
}
