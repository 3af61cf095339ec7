import {
  constants,
  createCipheriv,
  createPublicKey,
  publicEncrypt,
  X509Certificate,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { compactVerify } from "jose";
import { z } from "zod";
import { concatBytes, toBase64Url, utf8 } from "../../base/index.ts";
import { parseCompactJws } from "../../attest/token/compact-jws.ts";
import { maaIssuerOf, openMaaAuthority } from "../maa/service.ts";
import type { TwinBase } from "../service.ts";
import type { KeyDocument, KeyVersion } from "./documents.ts";
import { decodeBase64Url } from "./forms.ts";
import { releasableBytes } from "./key-material.ts";
import { badParameter, forbidden } from "./refusal.ts";
import { meetsPolicy, parseReleasePolicy } from "./release-policy.ts";

const HASHES = {
  CKM_RSA_AES_KEY_WRAP: "sha1",
  RSA_AES_KEY_WRAP_256: "sha256",
  RSA_AES_KEY_WRAP_384: "sha384",
} as const;

/** POST keys/NAME[/VERSION]/release. @see learn.microsoft.com/rest/api/keyvault/keys/release */
export const releaseBodySchema = z.strictObject({
  target: z
    .string()
    .min(1)
    .max(128 * 1024),
  nonce: z.string().max(1000).optional(),
  enc: z.enum(["CKM_RSA_AES_KEY_WRAP", "RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384"]).optional(),
});
type ReleaseBody = z.infer<typeof releaseBodySchema>;

/** A TEE's key as the token's runtime data name it. */
type TargetKey = { readonly kid: string; readonly key: KeyObject };

const runtimeSchema = z.looseObject({
  "x-ms-runtime": z.looseObject({
    keys: z.array(
      z.looseObject({
        kty: z.string(),
        kid: z.string().optional(),
        key_use: z.string().optional(),
        key_ops: z.array(z.string()).optional(),
      }),
    ),
  }),
});

/**
 * Decides on a release and wraps the key's material for the TEE's key: gives `key_hsm`. The token is
 * verified with the keys of the double of Azure Attestation, its time and what it says with the key's policy.
 * @throws KeyVaultRefusal
 */
export async function releaseMaterial(
  base: Pick<TwinBase, "state" | "clock" | "random">,
  key: { readonly document: KeyDocument; readonly version: KeyVersion },
  body: ReleaseBody,
): Promise<string> {
  const { document, version } = key;
  const { releasePolicy } = document;
  if (!version.exportable || releasePolicy === null)
    throw forbidden("Operation release is not permitted on this key.", "KeyOperationForbidden");
  const claims = await verifiedClaims(base, body.target);
  const policy = parseReleasePolicy(decodeBase64Url(releasePolicy.data, "release_policy.data"));
  const authority = String(claims["iss"]);
  if (!meetsPolicy(policy, { authority, claims }))
    throw forbidden(
      "Target environment attestation does not meet key release policy requirements.",
    );
  const target = targetOf(claims);
  const enc = body.enc ?? "CKM_RSA_AES_KEY_WRAP";
  const aesKey = base.random(32);
  const wrappedKey = publicEncrypt(
    { key: target.key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: HASHES[enc] },
    aesKey,
  );
  const cipher = createCipheriv("id-aes256-wrap-pad", aesKey, Buffer.from("a65959a6", "hex"));
  const wrapped = concatBytes(cipher.update(releasableBytes(version)), cipher.final());
  return toBase64Url(
    utf8(
      JSON.stringify({
        schema_version: "1.0",
        header: { kid: target.kid, alg: "dir", enc },
        ciphertext: toBase64Url(concatBytes(wrappedKey, wrapped)),
      }),
    ),
  );
}

async function verifiedClaims(
  base: Pick<TwinBase, "state" | "clock">,
  token: string,
): Promise<Readonly<Record<string, unknown>>> {
  let jws: ReturnType<typeof parseCompactJws>;
  try {
    jws = parseCompactJws(token, "the target");
  } catch {
    throw badParameter("Property target has invalid value: it is not a JSON web token.");
  }
  const issuer = String(jws.payload["iss"]);
  const host = URL.canParse(issuer) ? new URL(issuer).hostname : "";
  if (!host.endsWith(".attest.simulation.invalid") || maaIssuerOf(host) !== issuer)
    throw badParameter(
      `AKV.SKR.1012: The specified attestation service ${issuer.slice(0, 200)} cannot be reached.`,
    );
  const { certificates } = openMaaAuthority(base.state, { host, nowMs: base.clock() });
  const [leaf = new Uint8Array()] = certificates;
  const { exp, nbf } = jws.payload;
  const now = base.clock() / 1000;
  try {
    await compactVerify(token, new X509Certificate(leaf).publicKey, { algorithms: ["RS256"] });
    if (typeof exp !== "number" || now >= exp) throw new RangeError("expired");
    if (typeof nbf === "number" && now + 300 < nbf) throw new RangeError("not yet valid");
  } catch {
    throw forbidden("Target environment attestation statement cannot be verified.");
  }
  return jws.payload;
}

/** The first RSA key of the runtime data that is for encryption. */
function targetOf(claims: Readonly<Record<string, unknown>>): TargetKey {
  const runtime = runtimeSchema.safeParse(claims);
  const jwk = runtime.data?.["x-ms-runtime"].keys.find(
    ({ kty, key_use, key_ops }) =>
      kty === "RSA" && (key_use === "enc" || key_ops?.includes("encrypt") === true),
  );
  if (jwk === undefined)
    throw badParameter("The target environment attestation has no key encryption key.");
  try {
    const { n, e } = jwk;
    const key = createPublicKey({
      key: { kty: "RSA", n: String(n), e: String(e) },
      format: "jwk",
    });
    if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) throw new RangeError("too small");
    return { kid: jwk.kid ?? "", key };
  } catch {
    throw badParameter(
      "The key encryption key of the attestation is not RSA of 2048 bits or more.",
    );
  }
}
