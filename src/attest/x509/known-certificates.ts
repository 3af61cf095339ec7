import { parseCertificate } from "./certificate.ts";
import type { Certificate } from "./certificate.ts";
import { isSignedBy } from "./chain.ts";
import type { ChainAlgorithm, KnownCertificates, TrustAnchor } from "./chain.ts";
import { decodePemBody } from "./pem.ts";

/**
 * Certificates that need not be parsed and verified anew in each chain: their exact text is pinned
 * (`bodies`: of PEM, in the code), and that the root's key signed them is verified once a process, when
 * one is first met. A pin that the root did not sign is as if it were not there. Only the signature is
 * settled so; names, validity, authority and revocation are checked in every chain.
 */
export function knownCertificates(
  root: TrustAnchor,
  options: { readonly bodies: readonly string[]; readonly algorithm: ChainAlgorithm },
): KnownCertificates {
  const met = new Map<string, Certificate>();
  const signed = new Set<Certificate>();
  const meet = (body: string): Certificate | null => {
    const certificate = parseCertificate(decodePemBody(body));
    if (!isSignedBy(certificate, root, options.algorithm)) return null;
    met.set(body, certificate);
    signed.add(certificate);
    return certificate;
  };
  return {
    find: (body) => {
      // Few texts, compared whole: hashing one for a Map takes longer.
      const pinned = options.bodies.find((known) => known === body);
      return pinned === undefined ? null : (met.get(pinned) ?? meet(pinned));
    },
    isSigned: (certificate) => signed.has(certificate),
  };
}
