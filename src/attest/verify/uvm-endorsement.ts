import { constants, verify } from "node:crypto";
import { PpmlError, sha256, toBase64Url, toTimestamp } from "../../base/index.ts";
import { DER, readDer, readDerOid, readDerSequence } from "../der/read.ts";
import type { UvmReference } from "../evidence/snp-evidence.ts";
import { parseUvmEndorsement } from "../evidence/uvm-endorsement.ts";
import type { UvmEndorsement } from "../evidence/uvm-endorsement.ts";
import { parseCertificate } from "../x509/certificate.ts";
import type { Certificate } from "../x509/certificate.ts";
import { verifyChain } from "../x509/chain.ts";
import { isRsa, RSA_PKCS1_SHA384 } from "../x509/rsa.ts";

/**
 * Microsoft's own: the root "Microsoft Supply Chain RSA Root CA 2022" and the usage of utility VMs.
 * @see github.com/microsoft/confidential-sidecar-containers and Azure's confcom extension, reference info of ContainerPlat-AMD-UVM
 */
export const MICROSOFT_UVM_ISSUERS: readonly string[] = [
  "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2",
];

const EXTENDED_KEY_USAGE = "2.5.29.37";
/** COSE algorithms by their hash. @see RFC 8230 section 2 */
const PSS_HASHES: ReadonlyMap<bigint, "sha256" | "sha384" | "sha512"> = new Map([
  [-37n, "sha256"],
  [-38n, "sha384"],
  [-39n, "sha512"],
]);

/**
 * Verifies a utility VM's endorsement: its issuer is one of `issuers` (did:x509), its chain leads to
 * the certificate and usage that the did names, and its signature holds. Validity is checked for the
 * time that the signer states, which must not lie after `nowMs`: endorsements outlive the
 * certificates that signed them, and the policy's lowest SVN keeps out old ones.
 * @throws attest.invalid, attest.not_verified, attest.unsupported
 * @see RFC 9052 section 4.4; did:x509 method specification, version 0
 */
export function verifyUvmEndorsement(
  bytes: Uint8Array,
  options: { readonly issuers: readonly string[]; readonly nowMs: number },
): UvmReference {
  const endorsement = parseUvmEndorsement(bytes);
  const { issuer, signedAtMs } = endorsement;
  if (!options.issuers.includes(issuer))
    throw new PpmlError(
      "attest.not_verified",
      `expected an endorsement by ${options.issuers.join(" or ")}, got ${issuer.slice(0, 200)}`,
    );
  // Written so that a NaN is refused.
  if (!(signedAtMs <= options.nowMs))
    throw new PpmlError(
      "attest.not_verified",
      `the endorsement says that it was signed at ${toTimestamp(signedAtMs)}, which is still to come`,
    );
  const { caSha256, eku } = parseDid(issuer);
  const leaf = verifyEndorsers(endorsement, caSha256);
  if (!extendedUsages(leaf).includes(eku))
    throw new PpmlError(
      "attest.not_verified",
      `the certificate "${leaf.commonName}" is not for the usage ${eku} that the issuer's did names`,
    );
  verifyCoseSignature(endorsement, leaf);
  const { feed, svn, launchMeasurement } = endorsement;
  return { issuer, feed, svn, launchMeasurement, signedAtMs };
}

/** did:x509:0:sha256:FINGERPRINT::eku:OID, the one form in use. */
function parseDid(did: string): { readonly caSha256: string; readonly eku: string } {
  const [, caSha256, eku] =
    /^did:x509:0:sha256:([A-Za-z0-9_-]{43})::eku:([0-9]+(?:\.[0-9]+){1,30})$/.exec(did) ?? [];
  if (caSha256 === undefined || eku === undefined)
    throw new PpmlError(
      "attest.unsupported",
      `expected an issuer did:x509:0:sha256:FINGERPRINT::eku:OID, got ${did.slice(0, 200)}`,
    );
  return { caSha256, eku };
}

/** The leaf below the authority with this fingerprint; what stands above it does not matter. */
function verifyEndorsers(endorsement: UvmEndorsement, caSha256: string): Certificate {
  const anchor = endorsement.certificates.findIndex(
    (der, index) => index > 0 && toBase64Url(sha256(der)) === caSha256,
  );
  if (anchor === -1)
    throw new PpmlError(
      "attest.not_verified",
      "the endorsement's certificates do not hold the authority that the issuer's did names",
    );
  const certificates = endorsement.certificates
    .slice(0, anchor + 1)
    .toReversed()
    .map(parseCertificate);
  verifyChain({ certificates, algorithm: RSA_PKCS1_SHA384, nowMs: endorsement.signedAtMs });
  const leaf = certificates.at(-1);
  if (leaf === undefined) throw new PpmlError("attest.not_verified", "expected a certificate");
  return leaf;
}

/** RFC 5280 section 4.2.1.12: a SEQUENCE of OBJECT IDENTIFIERs. */
function extendedUsages(certificate: Certificate): string[] {
  const extension = certificate.extensions.get(EXTENDED_KEY_USAGE);
  if (extension === undefined) return [];
  return readDerSequence(readDer(extension.value, DER.sequence)).map(readDerOid);
}

function verifyCoseSignature(endorsement: UvmEndorsement, leaf: Certificate): void {
  const hash = PSS_HASHES.get(endorsement.algorithm);
  if (hash === undefined)
    throw new PpmlError(
      "attest.unsupported",
      `expected an endorsement signed with PS256, PS384 or PS512, got COSE algorithm ${endorsement.algorithm}`,
    );
  const key = leaf.publicKey;
  const ok =
    isRsa(key, 2048) &&
    verify(
      hash,
      endorsement.signedBytes,
      // RFC 8230 section 2: the salt is as long as the hash's output.
      {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      },
      endorsement.signature,
    );
  if (!ok)
    throw new PpmlError(
      "attest.not_verified",
      `the endorsement is not signed by the key of "${leaf.commonName}": its bytes were changed`,
    );
}
