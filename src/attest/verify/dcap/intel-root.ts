import { parseCertificate } from "../../x509/certificate.ts";
import { ECDSA_P256_SHA256, trustAnchorOf, withKnown } from "../../x509/chain.ts";
import type { TrustAnchor } from "../../x509/chain.ts";
import { knownCertificates } from "../../x509/known-certificates.ts";
import { decodePemBody } from "../../x509/pem.ts";
import { INTEL_BODIES, INTEL_ROOT_BODY } from "./intel-certificates.ts";

let anchor: TrustAnchor | null = null;

/**
 * Intel's root for SGX and TDX, the only trust anchor of production. Its key is what counts: an earlier
 * issue of it, to 2033, has the same key, name and serial.
 */
export function intelTrustAnchor(): TrustAnchor {
  anchor ??= parseAnchor();
  return anchor;
}

function parseAnchor(): TrustAnchor {
  const root = trustAnchorOf(parseCertificate(decodePemBody(INTEL_ROOT_BODY)));
  const known = knownCertificates(root, { bodies: INTEL_BODIES, algorithm: ECDSA_P256_SHA256 });
  return withKnown(root, known);
}
