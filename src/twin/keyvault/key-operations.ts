import {
  constants,
  createCipheriv,
  createDecipheriv,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { z } from "zod";
import { concatBytes, equalBytes, fromHex, toBase64Url } from "../../base/index.ts";
import type { KeyVersion } from "./documents.ts";
import { base64UrlText, decodeBase64Url } from "./forms.ts";
import { isRsa, privateKeyOf, publicKeyOf, secretOf } from "./key-material.ts";
import { badParameter } from "./refusal.ts";

/** The names of Key Vault's operations on a key, in its routes and in key_ops. */
export const KEY_OPERATIONS = {
  encrypt: "encrypt",
  decrypt: "decrypt",
  wrapkey: "wrapKey",
  unwrapkey: "unwrapKey",
  sign: "sign",
  verify: "verify",
} as const;
export type KeyOperation = keyof typeof KEY_OPERATIONS;

/** Body of encrypt, decrypt, wrapkey and unwrapkey. */
export const cipherBodySchema = z.strictObject({
  alg: z.string().max(40),
  value: base64UrlText,
  iv: base64UrlText.optional(),
  aad: base64UrlText.optional(),
  tag: base64UrlText.optional(),
});
export type CipherBody = z.infer<typeof cipherBodySchema>;

/** Body of sign, and of verify with the digest. */
export const signBodySchema = z.strictObject({ alg: z.string().max(40), value: base64UrlText });
export const verifyBodySchema = z.strictObject({
  alg: z.string().max(40),
  digest: base64UrlText,
  value: base64UrlText,
});

const OAEP_HASHES: Readonly<Record<string, string>> = {
  "RSA-OAEP-256": "sha256",
  "RSA-OAEP": "sha1",
};

/** DigestInfo's beginning for each hash. @see RFC 8017 section 9.2, note 1 */
const DIGEST_INFO: Readonly<Record<string, { readonly length: number; readonly prefix: string }>> =
  {
    RS256: { length: 32, prefix: "3031300d060960864801650304020105000420" },
    RS384: { length: 48, prefix: "3041300d060960864801650304020205000430" },
    RS512: { length: 64, prefix: "3051300d060960864801650304020305000440" },
  };

/** Encrypts or wraps; gives the answer's members. @throws KeyVaultRefusal */
export function encryptWith(
  version: KeyVersion,
  body: CipherBody,
  options: { readonly sha1: boolean },
): Readonly<Record<string, string>> {
  const value = decodeBase64Url(body.value, "value");
  if (isRsa(version.kty)) {
    const oaepHash = oaepHashOf(body.alg, options);
    const key = publicKeyOf(version);
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    return refusing(() => ({
      value: toBase64Url(publicEncrypt({ key, padding, oaepHash }, value)),
    }));
  }
  const key = secretOf(version);
  const kw = keyWrapOf(body.alg, key);
  if (kw !== null)
    return refusing(() => {
      const cipher = createCipheriv(kw, key, Buffer.alloc(8, 0xa6));
      return { value: toBase64Url(concatBytes(cipher.update(value), cipher.final())) };
    });
  const gcm = gcmOf(body.alg, key);
  const iv = new Uint8Array(randomBytes(12));
  const cipher = createCipheriv(gcm, key, iv);
  if (body.aad !== undefined) cipher.setAAD(decodeBase64Url(body.aad, "aad"));
  const bytes = concatBytes(cipher.update(value), cipher.final());
  return {
    value: toBase64Url(bytes),
    iv: toBase64Url(iv),
    tag: toBase64Url(cipher.getAuthTag()),
    ...(body.aad === undefined ? {} : { aad: body.aad }),
  };
}

/** Decrypts or unwraps; gives the answer's members. @throws KeyVaultRefusal */
export function decryptWith(
  version: KeyVersion,
  body: CipherBody,
  options: { readonly sha1: boolean },
): Readonly<Record<string, string>> {
  const value = decodeBase64Url(body.value, "value");
  if (isRsa(version.kty)) {
    const oaepHash = oaepHashOf(body.alg, options);
    const key = privateKeyOf(version);
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const length = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
    if (value.byteLength !== length) throw badParameter("Invalid length of 'value'.");
    return refusing(() => ({
      value: toBase64Url(privateDecrypt({ key, padding, oaepHash }, value)),
    }));
  }
  const key = secretOf(version);
  const kw = keyWrapOf(body.alg, key);
  return refusing(() => {
    if (kw !== null) {
      const decipher = createDecipheriv(kw, key, Buffer.alloc(8, 0xa6));
      return { value: toBase64Url(concatBytes(decipher.update(value), decipher.final())) };
    }
    const iv = decodeBase64Url(body.iv ?? "", "iv");
    const decipher = createDecipheriv(gcmOf(body.alg, key), key, iv, { authTagLength: 16 });
    if (body.aad !== undefined) decipher.setAAD(decodeBase64Url(body.aad, "aad"));
    decipher.setAuthTag(decodeBase64Url(body.tag ?? "", "tag"));
    return { value: toBase64Url(concatBytes(decipher.update(value), decipher.final())) };
  });
}

/** Signs a digest with RSASSA-PKCS1-v1_5: the only signatures that the double makes. @throws KeyVaultRefusal */
export function signWith(
  version: KeyVersion,
  body: z.infer<typeof signBodySchema>,
): Readonly<Record<string, string>> {
  const encoded = digestInfoOf(version, { alg: body.alg, digest: body.value });
  const key = privateKeyOf(version);
  const padding = constants.RSA_PKCS1_PADDING;
  return { value: toBase64Url(privateEncrypt({ key, padding }, encoded)) };
}

/** Whether a signature is one of the digest. @throws KeyVaultRefusal */
export function verifyWith(
  version: KeyVersion,
  body: z.infer<typeof verifyBodySchema>,
): { readonly value: boolean } {
  const encoded = digestInfoOf(version, body);
  const signature = decodeBase64Url(body.value, "value");
  const padding = constants.RSA_PKCS1_PADDING;
  try {
    const found = publicDecrypt({ key: publicKeyOf(version), padding }, signature);
    return { value: equalBytes(new Uint8Array(found), encoded) };
  } catch {
    return { value: false };
  }
}

function digestInfoOf(
  version: KeyVersion,
  body: { readonly alg: string; readonly digest: string },
): Uint8Array {
  const info = DIGEST_INFO[body.alg];
  if (info === undefined || !isRsa(version.kty))
    throw badParameter(
      `The double of Key Vault signs with RS256, RS384 and RS512 alone, not with ${body.alg}.`,
    );
  const digest = decodeBase64Url(body.digest, "digest");
  if (digest.byteLength !== info.length)
    throw badParameter(`Invalid length of 'value': ${body.alg} has ${info.length} bytes.`);
  return concatBytes(fromHex(info.prefix), digest);
}

function oaepHashOf(alg: string, { sha1 }: { readonly sha1: boolean }): string {
  const hash = OAEP_HASHES[alg];
  if (hash === undefined || (hash === "sha1" && !sha1))
    throw badParameter(
      `Property alg has invalid value: the double of Key Vault takes RSA-OAEP-256${sha1 ? " and RSA-OAEP" : ""}, came ${alg}`,
    );
  return hash;
}

function keyWrapOf(alg: string, key: Uint8Array): string | null {
  const bits = /^A(128|192|256)KW$/.exec(alg)?.[1];
  if (bits === undefined) return null;
  if (Number(bits) !== key.byteLength * 8) throw badParameter("The key has another size than alg");
  return `id-aes${bits}-wrap`;
}

function gcmOf(alg: string, key: Uint8Array): "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm" {
  const bits = /^A(128|192|256)GCM$/.exec(alg)?.[1];
  if (Number(bits) !== key.byteLength * 8)
    throw badParameter(`Property alg has invalid value: ${alg}`);
  if (bits === "128") return "aes-128-gcm";
  return bits === "192" ? "aes-192-gcm" : "aes-256-gcm";
}

/** Key Vault tells every failure of a decryption alike. */
function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error && error.name === "KeyVaultRefusal") throw error;
    throw badParameter("The parameter is incorrect.");
  }
}
