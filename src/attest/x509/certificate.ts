import type { KeyObject } from "node:crypto";
import { equalPublicBytes, PpmlError } from "../../base/index.ts";
import {
  DER,
  derContent,
  derEncoding,
  expectTag,
  readDer,
  readDerBitString,
  readDerBoolean,
  readDerOid,
  readDerSequence,
  readDerSmallInteger,
  readDerText,
  readDerTime,
} from "../der/read.ts";
import type { DerValue } from "../der/read.ts";
import { importIssuerSpki, importSpki } from "./p256.ts";

const MAX_CERTIFICATE_BYTES = 64 * 1024;
const OID = { commonName: "2.5.4.3", keyUsage: "2.5.29.15", basicConstraints: "2.5.29.19" };

/** An X.509 v3 certificate as far as attestation needs it. Nothing here is verified. @see RFC 5280 */
export type Certificate = {
  /** What the signature covers. */
  readonly tbs: Uint8Array;
  /** AlgorithmIdentifier, the same inside and outside: its encoding. */
  readonly algorithm: Uint8Array;
  readonly algorithmOid: string;
  readonly signature: Uint8Array;
  /** The serial number's INTEGER: its content. */
  readonly serial: Uint8Array;
  /** Encoded names, compared byte by byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** The subject's common name, printable ASCII; empty where it has none. */
  readonly commonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo: its encoding. */
  readonly spki: Uint8Array;
  /** The same as a key, made when it is first asked for. @throws attest.invalid */
  readonly publicKey: KeyObject;
  /** The same for a key that issues or signs much, of which a few are kept. @throws attest.invalid */
  readonly issuerKey: KeyObject;
  /** Null where the certificate has no basicConstraints. */
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength: number | null } | null;
  /** Null where the certificate has no keyUsage. */
  readonly keyUsage: KeyUsage | null;
  /** All other extensions by dotted OID. */
  readonly extensions: ReadonlyMap<string, CertificateExtension>;
};

/** The usages that attestation asks for. @see RFC 5280 section 4.2.1.3 */
export type KeyUsage = {
  readonly digitalSignature: boolean;
  readonly keyCertSign: boolean;
  readonly cRLSign: boolean;
};

/** An extension's flag and its value's bytes. */
export type CertificateExtension = { readonly critical: boolean; readonly value: Uint8Array };

/**
 * Parses a DER certificate of version 3, at most 64 KiB, strictly.
 * @throws attest.invalid
 * @see RFC 5280 section 4.1
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.byteLength > MAX_CERTIFICATE_BYTES)
    throw invalid(`expected at most ${MAX_CERTIFICATE_BYTES} bytes, got ${der.byteLength}`);
  const outer = readDerSequence(readDer(der, DER.sequence));
  const tbs = expectTag(outer[0], DER.sequence);
  const algorithm = expectTag(outer[1], DER.sequence);
  const fields = readDerSequence(tbs);
  const [version, serial, innerAlgorithm, issuer, validity, subject, spki, extensions] = fields;
  if (outer.length !== 3 || fields.length !== 8) throw invalid("expected an X.509 version 3 form");
  requireVersion3(version);
  // RFC 5280 4.1.1.2: "This field MUST contain the same algorithm identifier as the signature field".
  if (
    !equalPublicBytes(derEncoding(expectTag(innerAlgorithm, DER.sequence)), derEncoding(algorithm))
  )
    throw invalid("the signature algorithms inside and outside differ");
  const times = readDerSequence(expectTag(validity, DER.sequence));
  return new ParsedCertificate({
    tbs: derEncoding(tbs),
    algorithm: derEncoding(algorithm),
    algorithmOid: readDerOid(readDerSequence(algorithm)[0]),
    signature: readDerBitString(outer[2]),
    serial: readSerial(serial),
    issuer: derEncoding(expectTag(issuer, DER.sequence)),
    subject: derEncoding(expectTag(subject, DER.sequence)),
    commonName: readCommonName(expectTag(subject, DER.sequence)),
    notBeforeMs: readDerTime(times[0]),
    notAfterMs: readDerTime(times[1]),
    spki: derEncoding(expectTag(spki, DER.sequence)),
    extended: readExtensions(expectTag(extensions, 0xa3)),
  });
}

type Extended = Pick<Certificate, "basicConstraints" | "keyUsage" | "extensions">;
type Read = Omit<Certificate, "publicKey" | "issuerKey" | keyof Extended> & {
  readonly extended: Extended;
};

/** A class for speed alone: objects whose literals have getters and spreads are slow to make and to read. */
class ParsedCertificate implements Certificate {
  readonly tbs: Uint8Array;
  readonly algorithm: Uint8Array;
  readonly algorithmOid: string;
  readonly signature: Uint8Array;
  readonly serial: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly commonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly spki: Uint8Array;
  readonly basicConstraints: Certificate["basicConstraints"];
  readonly keyUsage: KeyUsage | null;
  readonly extensions: Certificate["extensions"];
  #publicKey: KeyObject | null = null;
  #issuerKey: KeyObject | null = null;

  constructor(read: Read) {
    this.tbs = read.tbs;
    this.algorithm = read.algorithm;
    this.algorithmOid = read.algorithmOid;
    this.signature = read.signature;
    this.serial = read.serial;
    this.issuer = read.issuer;
    this.subject = read.subject;
    this.commonName = read.commonName;
    this.notBeforeMs = read.notBeforeMs;
    this.notAfterMs = read.notAfterMs;
    this.spki = read.spki;
    this.basicConstraints = read.extended.basicConstraints;
    this.keyUsage = read.extended.keyUsage;
    this.extensions = read.extended.extensions;
  }

  /** Importing a key costs a quarter of a signature's verification, and not every key is used. */
  get publicKey(): KeyObject {
    this.#publicKey ??= readPublicKey(this.spki, importSpki);
    return this.#publicKey;
  }

  get issuerKey(): KeyObject {
    this.#issuerKey ??= readPublicKey(this.spki, importIssuerSpki);
    return this.#issuerKey;
  }
}

/**
 * Checks the content of a serial number's INTEGER: 1 to 21 bytes in its shortest form.
 * @throws attest.invalid
 * @see RFC 5280 section 4.1.2.2: at most 20 octets, and one more for the sign
 */
export function checkSerialAt(bytes: Uint8Array, start: number, end: number): void {
  const length = end - start;
  const first = bytes[start] ?? 0;
  const high = (bytes[start + 1] ?? 0) >= 0x80;
  const padded = length > 1 && ((first === 0 && !high) || (first === 0xff && high));
  if (length === 0 || length > 21 || padded)
    throw invalid("expected a serial number of 1 to 21 bytes in its shortest form");
}

/** A certificate's name for messages. */
export function nameOf(certificate: Pick<Certificate, "commonName">): string {
  return `"${certificate.commonName}"`;
}

function readSerial(value: DerValue | undefined): Uint8Array {
  const integer = expectTag(value, DER.integer);
  checkSerialAt(integer.bytes, integer.start, integer.end);
  return derContent(integer);
}

function requireVersion3(value: DerValue | undefined): void {
  const version = readDerSequence(expectTag(value, 0xa0));
  if (version.length !== 1 || readDerSmallInteger(version[0]) !== 2)
    throw invalid("expected an X.509 version 3 form");
}

function readCommonName(name: DerValue): string {
  for (const relative of readDerSequence(name))
    for (const attribute of readDerSequence(expectTag(relative, DER.set))) {
      const [type, value] = readDerSequence(expectTag(attribute, DER.sequence));
      if (readDerOid(type) === OID.commonName) return readDerText(value);
    }
  return "";
}

function readPublicKey(spki: Uint8Array, read: (spki: Uint8Array) => KeyObject): KeyObject {
  try {
    return read(spki);
  } catch (cause) {
    throw new PpmlError(
      "attest.invalid",
      "not a valid certificate: its public key does not parse",
      {
        cause,
      },
    );
  }
}

function readExtensions(
  wrapper: DerValue,
): Pick<Certificate, "basicConstraints" | "keyUsage" | "extensions"> {
  const all = new Map<string, CertificateExtension>();
  const [list, ...rest] = readDerSequence(wrapper);
  if (rest.length > 0) throw invalid("more than one list of extensions");
  for (const item of readDerSequence(expectTag(list, DER.sequence))) {
    const parts = readDerSequence(expectTag(item, DER.sequence));
    const oid = readDerOid(parts[0]);
    const critical = parts.length === 3 && readDerBoolean(parts[1]);
    if (parts.length < 2 || parts.length > 3 || all.has(oid))
      throw invalid(`the extension ${oid} is malformed or there twice`);
    all.set(oid, { critical, value: derContent(expectTag(parts.at(-1), DER.octetString)) });
  }
  const basicConstraints = readBasicConstraints(all.get(OID.basicConstraints));
  const keyUsage = readKeyUsage(all.get(OID.keyUsage));
  all.delete(OID.basicConstraints);
  all.delete(OID.keyUsage);
  return { basicConstraints, keyUsage, extensions: all };
}

/** RFC 5280 section 4.2.1.9. */
function readBasicConstraints(
  extension: CertificateExtension | undefined,
): Certificate["basicConstraints"] {
  if (extension === undefined) return null;
  const parts = readDerSequence(readDer(extension.value, DER.sequence));
  const flag = parts[0]?.tag === DER.boolean ? parts.shift() : undefined;
  const ca = flag !== undefined && readDerBoolean(flag);
  const length = parts.shift();
  if (parts.length > 0 || (length !== undefined && !ca))
    throw invalid("its basicConstraints are malformed");
  return { ca, pathLength: length === undefined ? null : readDerSmallInteger(length) };
}

/** RFC 5280 section 4.2.1.3: bit 0 is the most significant of the first byte. */
function readKeyUsage(extension: CertificateExtension | undefined): KeyUsage | null {
  if (extension === undefined) return null;
  const [, first = 0] = derContent(readDer(extension.value, DER.bitString));
  return {
    digitalSignature: (first & 0x80) !== 0,
    keyCertSign: (first & 0x04) !== 0,
    cRLSign: (first & 0x02) !== 0,
  };
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `not a valid certificate: ${what}`);
}
