import {
  constants,
  createCipheriv,
  createPublicKey,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { concatBytes, toBase64Url, utf8 } from "../base/bytes.ts";
import { PpmlError } from "../base/error.ts";
import { Secret } from "../base/secret.ts";
import type { KeyHsmWrap } from "../format/skr/key-hsm.ts";
import type { KekRelease } from "./vault.ts";

/** RFC 5649 section 3: the alternative initial value of AES key wrap with padding. */
const KWP_IV = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6);
const MIN_TARGET_BITS = 3072;
const HASHES = {
  CKM_RSA_AES_KEY_WRAP: "sha1",
  RSA_AES_KEY_WRAP_256: "sha256",
  RSA_AES_KEY_WRAP_384: "sha384",
} as const satisfies Record<KeyHsmWrap, string>;

/**
 * Wraps key material (PKCS#8, DER) for a TEE's RSA key of 3,072 bits or more, in the form of Key
 * Vault's member `key_hsm`: a fresh AES-256 key under RSA-OAEP, the material under it with RFC 5649.
 * @throws key.not_permitted for a smaller key
 * @see PKCS#11 v3.0, CKM_RSA_AES_KEY_WRAP; docs/protocol.md section "Release of a KEK"
 */
export function wrapKeyHsm(
  material: Secret,
  { target, wrap }: Pick<KekRelease, "target" | "wrap">,
): string {
  const key = createPublicKey({ key: { ...target.jwk }, format: "jwk" });
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_TARGET_BITS)
    throw new PpmlError(
      "key.not_permitted",
      `expected a TEE's RSA key of ${MIN_TARGET_BITS} bits or more, came ${bits}: nothing is released to it`,
    );
  using aesKey = Secret.take(Uint8Array.from(randomBytes(32)));
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const wrappedKey = aesKey.expose((bytes) =>
    publicEncrypt({ key, padding, oaepHash: HASHES[wrap] }, bytes),
  );
  const cipher = aesKey.expose((bytes) => createCipheriv("id-aes256-wrap-pad", bytes, KWP_IV));
  const wrapped = material.expose((bytes) => concatBytes(cipher.update(bytes), cipher.final()));
  const keyHsm = {
    schema_version: "1.0",
    header: { kid: target.keyId, alg: "dir", enc: wrap },
    ciphertext: toBase64Url(concatBytes(wrappedKey, wrapped)),
  };
  return toBase64Url(utf8(JSON.stringify(keyHsm)));
}
