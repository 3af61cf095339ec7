import { constants, publicEncrypt, randomBytes } from "node:crypto";
import { fromBase64Url, toBase64Url } from "../base/bytes.ts";
import { PpmlError } from "../base/error.ts";
import { Secret } from "../base/secret.ts";
import type { KekPublicKey, WrappedLocalKey } from "../format/kek.ts";
import { verifyKekPublicKey } from "./public-key.ts";
import type { UnwrapRequest } from "./vault.ts";

/** Length of a local key in bytes: AES-256. */
export const LOCAL_KEY_BYTES = 32;

/** Length of a local key's id in bytes. */
export const LOCAL_KEY_ID_BYTES = 16;

/** Makes a local key of 32 bytes and its id of 16 bytes from the operating system's CSPRNG. */
export function makeLocalKey(): { readonly localKey: Secret; readonly localKeyId: Uint8Array } {
  const localKey = Secret.take(freshBytes(LOCAL_KEY_BYTES));
  return { localKey, localKeyId: freshBytes(LOCAL_KEY_ID_BYTES) };
}

/**
 * Wraps a local key of 32 bytes (id: 16 bytes) for a KEK version: its public key is all it takes.
 * RSA-OAEP with SHA-256 for both hash and mask, empty label.
 * @throws key.public_key where the KEK is too small, has another exponent or another version
 * @see RFC 8017 section 7.1, RFC 7518 section 4.3
 */
export function wrapLocalKey(options: {
  readonly localKey: Secret;
  readonly localKeyId: Uint8Array;
  readonly kek: KekPublicKey;
}): WrappedLocalKey {
  const { localKey, localKeyId, kek } = options;
  const key = verifyKekPublicKey(kek);
  if (localKey.byteLength !== LOCAL_KEY_BYTES || localKeyId.byteLength !== LOCAL_KEY_ID_BYTES)
    throw new PpmlError(
      "base.internal",
      `expected a local key of ${LOCAL_KEY_BYTES} bytes and an id of ${LOCAL_KEY_ID_BYTES} bytes`,
    );
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const wrapped = localKey.expose((bytes) =>
    publicEncrypt({ key, padding, oaepHash: "sha256" }, bytes),
  );
  return {
    id: toBase64Url(localKeyId),
    kekId: kek.kekId,
    kekVersion: kek.kekVersion,
    wrapped: toBase64Url(wrapped),
  };
}

/** What a vault needs to unwrap a wrapped local key. @throws base.invalid_encoding */
export function toUnwrapRequest(key: WrappedLocalKey): UnwrapRequest {
  return { kekId: key.kekId, kekVersion: key.kekVersion, wrapped: fromBase64Url(key.wrapped) };
}

// Not from Buffer's shared pool: other code holds views of that one.
function freshBytes(length: number): Uint8Array {
  return Uint8Array.from(randomBytes(length));
}
