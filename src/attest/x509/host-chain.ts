import { X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { equalBytes, PpmlError } from "../../base/index.ts";
import { parseCertificate } from "./certificate.ts";
import type { Certificate } from "./certificate.ts";

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const MAX_CERTIFICATES = 6;

/** SHA-2 with RSA (PKCS#1 v1.5) or ECDSA: by OID, so that no certificate signed with SHA-1 passes. */
const ALGORITHMS = new Set([
  "1.2.840.113549.1.1.11",
  "1.2.840.113549.1.1.12",
  "1.2.840.113549.1.1.13",
  "1.2.840.10045.4.3.2",
  "1.2.840.10045.4.3.3",
]);

/** Critical extensions that are handled here, or say nothing that would forbid the use: SAN, EKU, policies. */
const KNOWN_CRITICAL = new Set(["2.5.29.17", "2.5.29.37", "2.5.29.32"]);

type Link = { readonly x509: X509Certificate; readonly parsed: Certificate };

/**
 * Verifies a chain of the web's form, leaf first, up to a pinned root, for a host name in the leaf's
 * subject alternative names; the root may be left out of it. Gives the leaf's key. Revocation is
 * not looked at.
 * @throws attest.invalid, attest.not_verified
 * @see RFC 5280 section 6.1, RFC 6125 section 6.4
 */
export function verifyHostChain(options: {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** DER of the roots that are trusted for this. */
  readonly roots: readonly Uint8Array[];
  readonly hostName: string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}): KeyObject {
  const links = completeChain(options.chain, options.roots);
  links.forEach((link, index) => {
    checkValidity(link.parsed, options.nowMs);
    checkCritical(link.parsed);
    if (index > 0) checkAuthority(link.parsed, index - 1);
    // The root vouches for itself by being pinned.
    const issuer = links[index + 1];
    if (issuer !== undefined) checkIssued(link, issuer);
  });
  const [leaf] = links;
  if (leaf === undefined || links.length < 2) throw refused("expected a chain below a pinned root");
  checkLeaf(leaf, options.hostName);
  return leaf.parsed.publicKey;
}

function completeChain(
  chain: readonly Uint8Array[],
  roots: readonly Uint8Array[],
): readonly Link[] {
  if (chain.length === 0 || chain.length > MAX_CERTIFICATES)
    throw refused(`expected 1 to ${MAX_CERTIFICATES} certificates, got ${chain.length}`);
  const links = chain.map((der) => linkOf(der));
  if (chain.slice(1).some((der) => roots.some((root) => equalBytes(root, der)))) {
    const end = chain.findIndex((der) => roots.some((root) => equalBytes(root, der)));
    return links.slice(0, end + 1);
  }
  const last = links.at(-1);
  const root = roots
    .map((der) => linkOf(der))
    .find(({ parsed }) => last !== undefined && equalBytes(parsed.subject, last.parsed.issuer));
  if (root === undefined) throw refused("the chain does not lead to a pinned root");
  return [...links, root];
}

function linkOf(der: Uint8Array): Link {
  const parsed = parseCertificate(der);
  return { parsed, x509: new X509Certificate(der) };
}

function checkIssued(link: Link, issuer: Link): void {
  if (!ALGORITHMS.has(link.parsed.algorithmOid))
    throw refused(`a certificate is signed with ${link.parsed.algorithmOid}, expected SHA-2`);
  const issued =
    equalBytes(link.parsed.issuer, issuer.parsed.subject) &&
    link.x509.checkIssued(issuer.x509) &&
    link.x509.verify(issuer.parsed.publicKey);
  if (!issued) throw refused("a certificate was not issued by the one above it");
}

function checkValidity(certificate: Certificate, nowMs: number): void {
  // Written so that a NaN is refused.
  if (!(nowMs >= certificate.notBeforeMs && nowMs <= certificate.notAfterMs))
    throw refused(`the certificate "${certificate.commonName}" is not valid at this time`);
}

function checkCritical(certificate: Certificate): void {
  for (const [oid, { critical }] of certificate.extensions)
    if (critical && !KNOWN_CRITICAL.has(oid))
      throw refused(`a certificate has a critical extension ${oid} that is not known`);
}

function checkAuthority({ basicConstraints, keyUsage }: Certificate, below: number): void {
  const { pathLength = null } = basicConstraints ?? {};
  if (
    basicConstraints?.ca !== true ||
    keyUsage?.keyCertSign !== true ||
    (pathLength !== null && below > pathLength)
  )
    throw refused("a certificate above the leaf is no authority, or not for so long a chain");
}

function checkLeaf({ parsed, x509 }: Link, hostName: string): void {
  if (parsed.basicConstraints?.ca === true || parsed.keyUsage?.digitalSignature === false)
    throw refused("the leaf is an authority, or its key is not for signatures");
  // X509Certificate calls the extended key usages keyUsage.
  const usages: readonly string[] | undefined = x509.keyUsage;
  if (usages !== undefined && !usages.includes(SERVER_AUTH))
    throw refused("the leaf's key is not one of a server");
  const matched = x509.checkHost(hostName, { subject: "never", partialWildcards: false });
  if (matched === undefined) throw refused(`the leaf is not a certificate of ${hostName}`);
}

function refused(message: string): PpmlError {
  return new PpmlError("attest.not_verified", message);
}
