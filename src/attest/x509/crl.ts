import type { KeyObject } from "node:crypto";
import {
  copyPublicBytes,
  equalPublicBytes,
  fromHex,
  PpmlError,
  toHex,
  toTimestamp,
} from "../../base/index.ts";
import {
  DER,
  derContent,
  derEncoding,
  derEndAt,
  derStartAt,
  expectTag,
  expectTagAt,
  readDer,
  readDerAt,
  readDerBitString,
  readDerBoolean,
  readDerOid,
  readDerSequence,
  readDerSmallInteger,
  readDerTime,
} from "../der/read.ts";
import type { DerValue } from "../der/read.ts";
import { checkSerialAt, nameOf } from "./certificate.ts";
import type { Certificate } from "./certificate.ts";
import { isAlgorithm } from "./chain.ts";
import type { ChainAlgorithm } from "./chain.ts";

const MAX_CRL_BYTES = 4 * 1024 * 1024;
const OID_CRL_NUMBER = "2.5.29.20";
const OID_AUTHORITY_KEY_IDENTIFIER = "2.5.29.35";
/** The encoding of a list of one extension, reasonCode (2.5.29.21), up to its last byte: the reason. */
const REASON_CODE = fromHex("300c300a0603551d1504030a01");

/** A certificate revocation list of version 2. Nothing here is verified. @see RFC 5280 section 5 */
export type Crl = {
  /** What the signature covers. */
  readonly tbs: Uint8Array;
  /** AlgorithmIdentifier, the same inside and outside: its encoding. */
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
  /** Encoded name, compared byte by byte. */
  readonly issuer: Uint8Array;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** The content of revokedCertificates, each of whose entries was checked; empty where it is not there. */
  readonly revoked: Uint8Array;
};

/**
 * Parses a DER CRL of version 2, at most 4 MiB, strictly; the result has no part of `bytes`. A CRL that
 * does not list all that its issuer revoked (delta, indirect or partitioned) has a critical extension
 * for it, and is refused.
 * @throws attest.invalid
 * @see RFC 5280 section 5.1
 */
export function parseCrl(bytes: Uint8Array): Crl {
  if (bytes.byteLength > MAX_CRL_BYTES)
    throw invalid(`expected at most ${MAX_CRL_BYTES} bytes, got ${bytes.byteLength}`);
  const der = copyPublicBytes(bytes);
  const outer = readDerSequence(readDer(der, DER.sequence));
  const tbs = expectTag(outer[0], DER.sequence);
  const algorithm = expectTag(outer[1], DER.sequence);
  if (outer.length !== 3) throw invalid("expected three parts");
  const fields = readDerSequence(tbs);
  const [version, innerAlgorithm, issuer, thisUpdate, nextUpdate] = fields;
  // RFC 5280 5.1.2.1: extensions are there, so that version "MUST be present and MUST specify version 2".
  if (readDerSmallInteger(version) !== 1) throw invalid("expected version 2");
  // RFC 5280 5.1.1.2: "This field MUST contain the same algorithm identifier as the signature field".
  if (
    !equalPublicBytes(derEncoding(expectTag(innerAlgorithm, DER.sequence)), derEncoding(algorithm))
  )
    throw invalid("the signature algorithms inside and outside differ");
  const rest = fields.slice(5);
  const list = rest[0]?.tag === DER.sequence ? rest.shift() : undefined;
  checkExtensions(expectTag(rest.shift(), 0xa0));
  if (rest.length > 0) throw invalid("parts after the extensions");
  return {
    tbs: derEncoding(tbs),
    algorithm: derEncoding(algorithm),
    signature: readDerBitString(outer[2]),
    issuer: derEncoding(expectTag(issuer, DER.sequence)),
    thisUpdateMs: readDerTime(thisUpdate),
    // RFC 5280 5.1.2.5: "Conforming CRL issuers MUST include the nextUpdate field in all CRLs."
    nextUpdateMs: readDerTime(nextUpdate),
    revoked: list === undefined ? new Uint8Array() : checkRevoked(list),
  };
}

/**
 * Verifies a CRL of `issuer`, whose certificate or key the caller trusts: the issuer's name, the
 * signature and that `nowMs` lies between thisUpdate and nextUpdate.
 * @throws attest.not_verified, attest.collateral where it is not of this time
 * @see RFC 5280 section 6.3.3
 */
export function verifyCrl(
  crl: Crl,
  options: {
    readonly issuer: { readonly name: Uint8Array; readonly key: KeyObject };
    readonly algorithm: ChainAlgorithm;
    readonly nowMs: number;
    readonly what: string;
  },
): void {
  const { issuer, algorithm, nowMs, what } = options;
  if (!equalPublicBytes(crl.issuer, issuer.name))
    throw new PpmlError(
      "attest.collateral",
      `${what} is of another issuer: fetch the collateral of this very platform`,
    );
  if (
    !isAlgorithm(crl.algorithm, algorithm) ||
    !algorithm.verify(crl.tbs, issuer.key, crl.signature)
  )
    throw new PpmlError("attest.not_verified", `${what} is not signed by its issuer's key`);
  // Written so that a NaN is refused.
  if (!(nowMs >= crl.thisUpdateMs && nowMs <= crl.nextUpdateMs))
    throw new PpmlError(
      "attest.collateral",
      `${what} is of ${toTimestamp(crl.thisUpdateMs)} and due for an update at ${toTimestamp(crl.nextUpdateMs)}, not good at ${Number.isFinite(nowMs) ? toTimestamp(nowMs) : nowMs}: fetch the collateral again`,
    );
}

/** The time in which a CRL is good. */
export function crlValidity(crl: Crl): { readonly fromMs: number; readonly toMs: number } {
  return { fromMs: crl.thisUpdateMs, toMs: crl.nextUpdateMs };
}

/** Refuses a certificate that the CRL of its issuer lists. @throws attest.revoked */
export function checkNotRevoked(certificate: Certificate, crl: Crl): void {
  if (!equalPublicBytes(certificate.issuer, crl.issuer))
    throw new PpmlError(
      "attest.collateral",
      `no CRL of the issuer of ${nameOf(certificate)} is there: fetch the collateral of this platform's PCK certificate`,
    );
  if (isRevoked(crl, certificate.serial))
    throw new PpmlError(
      "attest.revoked",
      `the certificate ${nameOf(certificate)} was revoked by its issuer: the platform or key is not to be trusted any more`,
      { detail: { serial: toHex(certificate.serial) } },
    );
}

/** Whether the CRL lists a serial number: the content of its INTEGER. */
export function isRevoked(crl: Pick<Crl, "revoked">, serial: Uint8Array): boolean {
  const { revoked } = crl;
  for (let at = 0; at < revoked.byteLength;) {
    const end = derEndAt(revoked, at, revoked.byteLength);
    const integer = derStartAt(revoked, at);
    const start = derStartAt(revoked, integer);
    if (
      derEndAt(revoked, integer, end) - start === serial.byteLength &&
      hasAt(revoked, start, serial)
    )
      return true;
    at = end;
  }
  return false;
}

/** Whether these bytes stand at `offset`. */
function hasAt(bytes: Uint8Array, offset: number, expected: Uint8Array): boolean {
  for (let index = 0; index < expected.byteLength; index += 1)
    if (bytes[offset + index] !== expected[index]) return false;
  return true;
}

/**
 * Checks the entries of a list, which may have thousands, and gives its content.
 * @see RFC 5280 section 5.1.2.6
 */
function checkRevoked(list: DerValue): Uint8Array {
  const { bytes, end } = list;
  for (let at = list.start; at < end;) at = checkEntry(bytes, at, end);
  return derContent(list);
}

/** Checks the entry at `offset`, and gives where it ends. */
function checkEntry(bytes: Uint8Array, offset: number, limit: number): number {
  const end = derEndAt(bytes, offset, limit);
  expectTagAt(bytes, offset, DER.sequence);
  const serial = derStartAt(bytes, offset);
  const date = derEndAt(bytes, serial, end);
  expectTagAt(bytes, serial, DER.integer);
  checkSerialAt(bytes, derStartAt(bytes, serial), date);
  const rest = derEndAt(bytes, date, end);
  // When it was revoked does not matter, only that it was.
  if (bytes[date] !== DER.utcTime) expectTagAt(bytes, date, DER.generalizedTime);
  if (rest < end) checkEntryExtensions(bytes, rest, end);
  return end;
}

/** RFC 5280 section 5.3: an unknown critical extension of an entry says that the list cannot be used. */
function checkEntryExtensions(bytes: Uint8Array, from: number, to: number): void {
  const extensions = expectTag(readDerAt(bytes, from, to), DER.sequence);
  if (extensions.end !== to) throw invalid("an entry has more than three parts");
  if (!isReasonCode(bytes, from, to)) readExtensions(extensions);
}

/** Whether this is just a reason code, not critical, as in each of Intel's entries. @see RFC 5280 section 5.3.1 */
function isReasonCode(bytes: Uint8Array, from: number, to: number): boolean {
  return to - from === REASON_CODE.byteLength + 1 && hasAt(bytes, from, REASON_CODE);
}

function checkExtensions(wrapper: DerValue): void {
  const [list, ...rest] = readDerSequence(wrapper);
  if (rest.length > 0) throw invalid("more than one list of extensions");
  const oids = readExtensions(expectTag(list, DER.sequence));
  // RFC 5280 5.2.1 and 5.2.3: both "MUST" be in every CRL.
  for (const oid of [OID_CRL_NUMBER, OID_AUTHORITY_KEY_IDENTIFIER])
    if (!oids.has(oid)) throw invalid(`it lacks the extension ${oid}`);
}

/** The OIDs of a list of extensions, none of which may be critical. */
function readExtensions(list: DerValue): ReadonlySet<string> {
  const oids = new Set<string>();
  for (const item of readDerSequence(list)) {
    const parts = readDerSequence(expectTag(item, DER.sequence));
    const oid = readDerOid(parts[0]);
    const critical = parts.length === 3 && readDerBoolean(parts[1]);
    expectTag(parts.at(-1), DER.octetString);
    if (parts.length < 2 || parts.length > 3 || oids.has(oid))
      throw invalid(`the extension ${oid} is malformed or there twice`);
    if (critical) throw invalid(`it has a critical extension ${oid} that is not known`);
    oids.add(oid);
  }
  return oids;
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `not a valid CRL: ${what}`);
}
