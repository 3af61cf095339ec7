import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { PpmlError, sha256, toBase64 } from "../../base/index.ts";
import { SIMULATION_MARK } from "../../attest/evidence/simulation-mark.ts";
import {
  authorityExtensions,
  extension,
  issueCertificate,
} from "../../attest/x509/issue-certificate.ts";
import { derBitString } from "../../attest/der/write.ts";
import { isAzureIssuer } from "../../attest/verify/maa-providers.ts";

const HOUR_MS = 3_600_000;
const LIFETIME_MS = 365 * 24 * HOUR_MS;

/** Who signs the double's tokens. */
export type MaaAuthority = {
  /** What its tokens say as `iss`: never a provider of Azure. */
  readonly issuer: string;
  readonly keyId: string;
  readonly privateKey: KeyObject;
  /** DER: the signing key's certificate, then the root that issued it. Both carry the mark. */
  readonly certificates: readonly Uint8Array[];
};

/**
 * Makes a new RSA-2048 signing key with a certificate under a new root of its own, from an hour
 * before `nowMs` for a year. Every name says that no hardware stands behind it, which production
 * refuses.
 * @throws attest.invalid for an issuer that is a provider of Azure, or is not https://HOST
 */
export function createMaaAuthority(options: {
  readonly issuer: string;
  readonly nowMs: number;
}): MaaAuthority {
  const { issuer } = options;
  const url = URL.canParse(issuer) ? new URL(issuer) : null;
  if (url?.protocol !== "https:" || url.origin !== issuer)
    throw new PpmlError("attest.invalid", `expected an issuer as https://HOST, got ${issuer}`);
  if (isAzureIssuer(issuer) || /\.azure\.(?:net|us|cn)$/.test(url.hostname))
    throw new PpmlError(
      "attest.invalid",
      `${issuer} is in Azure: the double has to have another issuer, so that nobody takes its tokens for real`,
    );
  const rootKey = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const notBeforeMs = options.nowMs - HOUR_MS;
  const common = {
    issuer: nameOf("MAA ROOT"),
    issuerKey: rootKey,
    notBeforeMs,
    notAfterMs: notBeforeMs + LIFETIME_MS,
  };
  const root = issueCertificate({
    ...common,
    subject: nameOf("MAA ROOT"),
    subjectKey: rootKey,
    extensions: authorityExtensions(0),
  });
  const leaf = issueCertificate({
    ...common,
    subject: nameOf("MAA"),
    subjectKey: privateKey,
    extensions: [digitalSignature()],
  });
  return { issuer, keyId: toBase64(sha256(leaf)), privateKey, certificates: [leaf, root] };
}

/** The JWK Set in the form of MAA's /certs: `kid`, `kty` and `x5c`. */
export function certsOf(authority: MaaAuthority): { readonly keys: readonly unknown[] } {
  const x5c = authority.certificates.map((certificate) => toBase64(certificate));
  return { keys: [{ x5c, kid: authority.keyId, kty: "RSA" }] };
}

/** Key usage: bit 0 alone. @see RFC 5280 section 4.2.1.3 */
function digitalSignature(): Uint8Array {
  return extension("2.5.29.15", { critical: true, value: derBitString(Uint8Array.of(0x80), 7) });
}

function nameOf(role: string): string {
  return `${role} ${SIMULATION_MARK}`;
}
