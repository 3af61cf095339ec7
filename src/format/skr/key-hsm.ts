import { constants, createDecipheriv, privateDecrypt } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { z } from "zod";
import { concatBytes, fromBase64Url, PpmlError, Secret } from "../../base/index.ts";
import { parseJson } from "../jcs.ts";
import { base64UrlSchema, parseWith } from "../schema.ts";

/** RFC 5649 section 3: the alternative initial value of AES key wrap with padding. */
const KWP_IV = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6);
const AES_KEY_BYTES = 32;
const MIN_RSA_BITS = 2048;
const MAX_CHARS = 64 * 1024;

/** OAEP's hash, MGF1's too, of each wrap that Key Vault knows. */
const OAEP_HASHES = {
  CKM_RSA_AES_KEY_WRAP: "sha1",
  RSA_AES_KEY_WRAP_256: "sha256",
  RSA_AES_KEY_WRAP_384: "sha384",
} as const;

/** How Key Vault wraps a released key: what a release request asks for as `enc`. */
export type KeyHsmWrap = keyof typeof OAEP_HASHES;

const keyHsmSchema = z.strictObject({
  schema_version: z.literal("1.0"),
  header: z.strictObject({
    kid: z.string().min(1).max(500),
    alg: z.literal("dir"),
    enc: z.enum(["CKM_RSA_AES_KEY_WRAP", "RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384"]),
  }),
  ciphertext: base64UrlSchema.max(MAX_CHARS),
});

/** A key that Key Vault or Managed HSM released, wrapped for a TEE's RSA key. */
export type KeyHsm = {
  /** The `kid` of the TEE's key in the attestation token. */
  readonly keyId: string;
  readonly wrap: KeyHsmWrap;
  readonly ciphertext: Uint8Array;
};

/**
 * Parses the member `key_hsm` of a released key: base64url of JSON, at most 64 KiB.
 * @throws format.invalid, format.too_large
 * @see learn.microsoft.com/rest/api/keyvault/keys/release, "KeyReleaseResult"
 */
export function parseKeyHsm(text: string): KeyHsm {
  if (text.length > MAX_CHARS)
    throw new PpmlError("format.too_large", `expected key_hsm of at most ${MAX_CHARS} characters`);
  const what = "the released key's key_hsm";
  const { header, ciphertext } = parseWith(keyHsmSchema, parseJson(decode(text, what), what), {
    what,
  });
  return { keyId: header.kid, wrap: header.enc, ciphertext: decode(ciphertext, what) };
}

/**
 * Unwraps a released key's material with the TEE's private key: PKCS#8 in DER for RSA and EC, the
 * bytes themselves for oct. The wrap and the key's id have to be those that the request named.
 * RSA-OAEP gives an AES key, which AES key wrap with padding checks the material by.
 * @throws format.invalid for another wrap or key id; open.not_authentic for all else
 * @see PKCS#11 v3.0, CKM_RSA_AES_KEY_WRAP; RFC 5649
 */
export function unwrapKeyHsm(options: {
  readonly keyHsm: KeyHsm;
  readonly privateKey: KeyObject;
  readonly expected: { readonly keyId: string; readonly wrap: KeyHsmWrap };
}): Secret {
  const { keyHsm, privateKey, expected } = options;
  if (keyHsm.keyId !== expected.keyId || keyHsm.wrap !== expected.wrap)
    throw new PpmlError(
      "format.invalid",
      `expected a key wrapped for "${expected.keyId}" with ${expected.wrap}, got one for "${keyHsm.keyId.slice(0, 100)}" with ${keyHsm.wrap}`,
    );
  const bits = privateKey.asymmetricKeyDetails?.modulusLength ?? 0;
  if (
    privateKey.type !== "private" ||
    privateKey.asymmetricKeyType !== "rsa" ||
    bits < MIN_RSA_BITS
  )
    throw new PpmlError(
      "format.invalid",
      `expected the TEE's private RSA key of ${MIN_RSA_BITS} bits or more`,
    );
  const wrappedKey = keyHsm.ciphertext.subarray(0, Math.ceil(bits / 8));
  const wrappedMaterial = keyHsm.ciphertext.subarray(Math.ceil(bits / 8));
  try {
    const oaepHash = OAEP_HASHES[keyHsm.wrap];
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    using aesKey = Secret.take(privateDecrypt({ key: privateKey, oaepHash, padding }, wrappedKey));
    return Secret.take(unwrapMaterial(aesKey, wrappedMaterial));
  } catch (cause) {
    throw new PpmlError(
      "open.not_authentic",
      "the released key does not unwrap: it was wrapped for another key, or its bytes were changed",
      { cause },
    );
  }
}

/** AES-256 key wrap with padding. @see RFC 5649 section 4.2 */
function unwrapMaterial(aesKey: Secret, wrapped: Uint8Array): Uint8Array {
  if (aesKey.byteLength !== AES_KEY_BYTES)
    throw new RangeError(`expected an AES key of ${AES_KEY_BYTES} bytes`);
  return aesKey.expose((key) => {
    const decipher = createDecipheriv("id-aes256-wrap-pad", key, KWP_IV);
    const parts = [decipher.update(wrapped), decipher.final()];
    const material = concatBytes(...parts);
    for (const part of parts) part.fill(0);
    return material;
  });
}

function decode(text: string, what: string): Uint8Array {
  try {
    return fromBase64Url(text);
  } catch (cause) {
    throw new PpmlError("format.invalid", `${what} is not in canonical base64url`, { cause });
  }
}
