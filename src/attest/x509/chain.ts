import { verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { equalPublicBytes, PpmlError, toTimestamp } from "../../base/index.ts";
import { nameOf } from "./certificate.ts";
import { verifyP256 } from "./p256.ts";
import type { Certificate } from "./certificate.ts";

/** A signature algorithm that a chain may use: its exact AlgorithmIdentifier and its check. */
export type ChainAlgorithm = {
  readonly name: string;
  readonly identifier: Uint8Array;
  /** Other encodings of the same algorithm that issuers write. */
  readonly otherIdentifiers?: readonly Uint8Array[];
  readonly verify: (tbs: Uint8Array, key: KeyObject, signature: Uint8Array) => boolean;
};

/** ecdsa-with-SHA384 (1.2.840.10045.4.3.3, no parameters) on P-384. @see RFC 5758 section 3.2 */
export const ECDSA_P384_SHA384: ChainAlgorithm = {
  name: "ecdsa-with-SHA384 on P-384",
  identifier: Uint8Array.of(0x30, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03),
  verify: (tbs, key, signature) =>
    isP384(key) && verify("sha384", tbs, { key, dsaEncoding: "der" }, signature),
};

/** ecdsa-with-SHA256 (1.2.840.10045.4.3.2, no parameters) on P-256. @see RFC 5758 section 3.2 */
export const ECDSA_P256_SHA256: ChainAlgorithm = {
  name: "ecdsa-with-SHA256 on P-256",
  identifier: Uint8Array.of(0x30, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02),
  verify: verifyP256,
};

/** Tells whether an encoded AlgorithmIdentifier is one of the algorithm's. */
export function isAlgorithm(encoded: Uint8Array, algorithm: ChainAlgorithm): boolean {
  const { identifier, otherIdentifiers = [] } = algorithm;
  return [identifier, ...otherIdentifiers].some((known) => equalPublicBytes(encoded, known));
}

/** Tells whether a key is an EC key on P-384. */
export function isP384(key: KeyObject): boolean {
  return key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "secp384r1";
}

/** A root that the caller trusts: what its certificate says of itself is not asked. @see RFC 5280 section 6.1.1 */
export type TrustAnchor = {
  /** Encoded name. */
  readonly name: Uint8Array;
  /** The name for messages. */
  readonly commonName: string;
  /** The serial number of the certificate that it was taken from. */
  readonly serial: Uint8Array;
  readonly spki: Uint8Array;
  readonly publicKey: KeyObject;
  readonly known: KnownCertificates;
};

/** Certificates of which it is settled, by their exact bytes, that a trust anchor's key signed them. */
export type KnownCertificates = {
  /** The one with exactly this body in PEM; null for any other text. */
  readonly find: (pemBody: string) => Certificate | null;
  /** Whether it is one that `find` gave: that very object, not its like. */
  readonly isSigned: (certificate: Certificate) => boolean;
};

const NONE_KNOWN: KnownCertificates = { find: () => null, isSigned: () => false };

/** The trust anchor that a certificate stands for. */
export function trustAnchorOf(certificate: Certificate): TrustAnchor {
  return new CertificateAnchor(certificate);
}

/** The same trust anchor, with certificates of which it is settled that it signed them. */
export function withKnown(anchor: TrustAnchor, known: KnownCertificates): TrustAnchor {
  const { name, commonName, serial, spki, publicKey } = anchor;
  return { name, commonName, serial, spki, publicKey, known };
}

/** A class, as `ParsedCertificate` is one: a verification makes four of them. */
class CertificateAnchor implements TrustAnchor {
  readonly name: Uint8Array;
  readonly commonName: string;
  readonly serial: Uint8Array;
  readonly spki: Uint8Array;
  readonly known = NONE_KNOWN;
  readonly #certificate: Certificate;

  constructor(certificate: Certificate) {
    this.name = certificate.subject;
    this.commonName = certificate.commonName;
    this.serial = certificate.serial;
    this.spki = certificate.spki;
    this.#certificate = certificate;
  }

  /** Made when it is asked for: nobody asks where the certificate below is known by its bytes. */
  get publicKey(): KeyObject {
    return this.#certificate.issuerKey;
  }
}

/**
 * Verifies a chain, root first, whose root the caller trusts (it compared the root's bytes): names,
 * signatures, validity at `nowMs`, CA flags, path lengths and key usage. Critical extensions that
 * nobody here understands are refused. Certificates at least two.
 * @throws attest.not_verified
 * @see RFC 5280 section 6.1
 */
export function verifyChain(options: {
  readonly certificates: readonly Certificate[];
  readonly algorithm: ChainAlgorithm;
  readonly nowMs: number;
}): void {
  const [root] = options.certificates;
  if (root === undefined || options.certificates.length < 2)
    throw new PpmlError("attest.not_verified", "expected a certificate chain of two or more");
  const anchor = trustAnchorOf(root);
  checkLink(root, { ...options, issuer: anchor, below: options.certificates.length - 1 });
  verifyChainBelow({ ...options, certificates: options.certificates.slice(1), anchor });
}

/**
 * Verifies the certificates below a trust anchor, the nearest to it first, one or more: as
 * `verifyChain`, but nothing is asked of the root itself.
 * @throws attest.not_verified
 * @see RFC 5280 section 6.1
 */
export function verifyChainBelow(options: {
  readonly anchor: TrustAnchor;
  readonly certificates: readonly Certificate[];
  readonly algorithm: ChainAlgorithm;
  readonly nowMs: number;
}): void {
  const { anchor, certificates } = options;
  if (certificates.length === 0)
    throw new PpmlError("attest.not_verified", "expected a certificate below the root, got none");
  let issuer = anchor;
  certificates.forEach((certificate, index) => {
    checkLink(certificate, { ...options, issuer, below: certificates.length - 1 - index });
    issuer = trustAnchorOf(certificate);
  });
}

/** One certificate against its issuer, with `below` certificates under it. */
function checkLink(
  certificate: Certificate,
  options: {
    readonly issuer: TrustAnchor;
    readonly below: number;
    readonly algorithm: ChainAlgorithm;
    readonly nowMs: number;
  },
): void {
  const { issuer, below, algorithm, nowMs } = options;
  checkSignature(certificate, issuer, algorithm);
  checkValidity(certificate, nowMs);
  if (below === 0) checkLeaf(certificate);
  else checkAuthority(certificate, below - 1);
  for (const [oid, { critical }] of certificate.extensions)
    if (critical) throw refused(certificate, `has a critical extension ${oid} that is not known`);
}

function checkSignature(
  certificate: Certificate,
  issuer: TrustAnchor,
  algorithm: ChainAlgorithm,
): void {
  if (!equalPublicBytes(certificate.issuer, issuer.name))
    throw refused(certificate, `was not issued by ${nameOf(issuer)}: send the chain in its order`);
  if (!isAlgorithm(certificate.algorithm, algorithm))
    throw refused(
      certificate,
      `is signed with ${certificate.algorithmOid}, expected ${algorithm.name}`,
    );
  if (issuer.known.isSigned(certificate)) return;
  if (!algorithm.verify(certificate.tbs, issuer.publicKey, certificate.signature))
    throw refused(certificate, `is not signed by the key of ${nameOf(issuer)}`);
}

/** Tells whether a certificate names `issuer`, has this algorithm and is signed by the issuer's key. */
export function isSignedBy(
  certificate: Certificate,
  issuer: TrustAnchor,
  algorithm: ChainAlgorithm,
): boolean {
  return (
    equalPublicBytes(certificate.issuer, issuer.name) &&
    isAlgorithm(certificate.algorithm, algorithm) &&
    algorithm.verify(certificate.tbs, issuer.publicKey, certificate.signature)
  );
}

function checkValidity(certificate: Certificate, nowMs: number): void {
  const { notBeforeMs, notAfterMs } = certificate;
  // Written so that a NaN is refused.
  if (!(nowMs >= notBeforeMs && nowMs <= notAfterMs))
    throw refused(
      certificate,
      `is valid from ${toTimestamp(notBeforeMs)} to ${toTimestamp(notAfterMs)}, not at ${Number.isFinite(nowMs) ? toTimestamp(nowMs) : nowMs}`,
    );
}

function checkAuthority(certificate: Certificate, authoritiesBelow: number): void {
  const { basicConstraints, keyUsage } = certificate;
  if (basicConstraints?.ca !== true) throw refused(certificate, "is not a certificate authority");
  if (basicConstraints.pathLength !== null && authoritiesBelow > basicConstraints.pathLength)
    throw refused(
      certificate,
      `allows ${basicConstraints.pathLength} authorities below it, the chain has ${authoritiesBelow}`,
    );
  // RFC 5280 4.2.1.9: without keyCertSign the key MUST NOT be used to verify certificates.
  if (keyUsage?.keyCertSign !== true)
    throw refused(certificate, "has no key usage keyCertSign: it must not sign certificates");
}

function checkLeaf(certificate: Certificate): void {
  if (certificate.basicConstraints?.ca === true)
    throw refused(certificate, "is a certificate authority, expected the key of a chip");
  if (
    certificate.keyUsage?.digitalSignature === false ||
    certificate.keyUsage?.keyCertSign === true
  )
    throw refused(certificate, "has a key usage other than digitalSignature alone");
}

function refused(certificate: Certificate, what: string): PpmlError {
  return new PpmlError("attest.not_verified", `the certificate ${nameOf(certificate)} ${what}`, {
    detail: { certificate: certificate.commonName },
  });
}
