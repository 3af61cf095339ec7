import { createCipheriv, createDecipheriv } from "node:crypto";
import { concatBytes, fromBase64Url, PpmlError, Secret, toBase64Url } from "../base/index.ts";
import type { WrappedLocalKey } from "./kek.ts";
import { MAX_RESOURCE_BYTES, resourceAad } from "./resource.ts";
import type { Resource } from "./resource.ts";

const TAG_BYTES = 16;

/**
 * Encrypts a resource's content, 1 byte to 64 KiB, under its local key of 32 bytes. `iv`: 12 bytes
 * from the operating system's CSPRNG; the key is made for this one encryption, so no IV comes twice.
 * @throws format.too_large for an empty or too long content
 */
export function encryptResource(options: {
  readonly path: string;
  readonly version: number;
  readonly content: Secret;
  readonly localKey: Secret;
  /** `localKey`, wrapped. */
  readonly key: WrappedLocalKey;
  readonly iv: Uint8Array;
}): Resource {
  const { path, version, content, localKey, key, iv } = options;
  if (content.byteLength < 1 || content.byteLength > MAX_RESOURCE_BYTES)
    throw new PpmlError(
      "format.too_large",
      `expected a resource of 1 to ${MAX_RESOURCE_BYTES} bytes, got ${content.byteLength}`,
    );
  const ciphertext = localKey.expose((bytes) => {
    const cipher = createCipheriv("aes-256-gcm", bytes, iv, { authTagLength: TAG_BYTES });
    cipher.setAAD(resourceAad({ path, version, key }));
    const body = content.expose((plain) => cipher.update(plain));
    return concatBytes(body, cipher.final(), cipher.getAuthTag());
  });
  return {
    v: 1,
    path,
    version,
    sealed: { key, iv: toBase64Url(iv), ciphertext: toBase64Url(ciphertext) },
  };
}

/**
 * Decrypts a resource's content with its local key; the caller disposes it.
 * @throws open.not_authentic for any other key, path, version or byte; format.invalid where it was removed
 */
export function decryptResource(resource: Resource, localKey: Secret): Secret {
  const { path, version, sealed } = resource;
  if (sealed === null)
    throw new PpmlError("format.invalid", `the resource ${path} was removed and has no content`);
  const bytes = fromBase64Url(sealed.ciphertext);
  const end = bytes.byteLength - TAG_BYTES;
  try {
    return localKey.expose((key) => {
      const iv = fromBase64Url(sealed.iv);
      const decipher = createDecipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(resourceAad({ path, version, key: sealed.key }));
      decipher.setAuthTag(bytes.subarray(end));
      const plain = decipher.update(bytes.subarray(0, end));
      decipher.final();
      return Secret.take(new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength));
    });
  } catch (cause) {
    throw new PpmlError("open.not_authentic", "the resource is not authentic", { cause });
  }
}
