import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { concatBytes, equalBytes, PpmlError, Secret, utf8 } from "../../base/index.ts";

/** Length in bytes of a DEK and of a local key (AES-256). */
export const DEK_BYTES = 32;
/** Length in bytes of a wrapped DEK: nonce 12, ciphertext 32, tag 16. */
export const WRAPPED_DEK_BYTES = 60;
/** Length in bytes of the nonce of a wrapped DEK. */
export const DEK_NONCE_BYTES = 12;

const TAG_BYTES = 16;
const AAD_LABEL = utf8("ppml dek v1");
const COMMITMENT_INFO = utf8("ppml dek commitment v1");

/** What a wrapped DEK belongs to; each id has 16 bytes. */
export type DekContext = {
  readonly localKeyId: Uint8Array;
  readonly fileId: Uint8Array;
  readonly datasetId: Uint8Array;
};

/**
 * Wraps a DEK under a local key with AES-256-GCM: 60 bytes.
 * @param options.nonce 12 bytes from the CSPRNG; random, so at most 2^32 DEKs go under one local key
 * @see docs/format-file.md section "DEK wrap"
 */
export function wrapDek(
  dek: Secret,
  localKey: Secret,
  options: { readonly context: DekContext; readonly nonce: Uint8Array },
): Uint8Array {
  const { context, nonce } = options;
  return localKey.expose((keyBytes) => {
    const cipher = createCipheriv("aes-256-gcm", keyBytes, nonce);
    cipher.setAAD(wrapAad(context));
    const ciphertext = dek.expose((dekBytes) => cipher.update(dekBytes));
    cipher.final();
    return concatBytes(nonce, ciphertext, cipher.getAuthTag());
  });
}

/**
 * Unwraps a DEK; check it with `checkDekCommitment` before it opens anything.
 * @param wrapped 60 bytes
 * @throws open.not_authentic
 */
export function unwrapDek(wrapped: Uint8Array, localKey: Secret, context: DekContext): Secret {
  if (wrapped.byteLength !== WRAPPED_DEK_BYTES || localKey.byteLength !== DEK_BYTES)
    throw notAuthentic();
  const tagOffset = WRAPPED_DEK_BYTES - TAG_BYTES;
  const dek = localKey.expose((keyBytes) => {
    const nonce = wrapped.subarray(0, DEK_NONCE_BYTES);
    const decipher = createDecipheriv("aes-256-gcm", keyBytes, nonce, {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(wrapAad(context));
    decipher.setAuthTag(wrapped.subarray(tagOffset));
    const plaintext = decipher.update(wrapped.subarray(DEK_NONCE_BYTES, tagOffset));
    try {
      decipher.final();
    } catch {
      plaintext.fill(0);
      throw notAuthentic();
    }
    return plaintext;
  });
  return Secret.take(dek);
}

/**
 * The commitment to a DEK in a file's fixed part: HKDF-SHA256(DEK, salt file id), 32 bytes.
 * @see docs/format-file.md section "DEK commitment"
 */
export function dekCommitment(dek: Secret, fileId: Uint8Array): Uint8Array {
  return new Uint8Array(
    dek.expose((bytes) => hkdfSync("sha256", bytes, fileId, COMMITMENT_INFO, 32)),
  );
}

/**
 * Refuses a DEK that the fixed part does not commit to: anybody can wrap a DEK of his own under a
 * public KEK, but only into a fixed part of his own, which no manifest lists.
 * @throws open.not_authentic
 */
export function checkDekCommitment(
  dek: Secret,
  expected: { readonly fileId: Uint8Array; readonly commitment: Uint8Array },
): void {
  if (!equalBytes(dekCommitment(dek, expected.fileId), expected.commitment)) throw notAuthentic();
}

function wrapAad(context: DekContext): Uint8Array {
  return concatBytes(AAD_LABEL, context.localKeyId, context.fileId, context.datasetId);
}

function notAuthentic(): PpmlError {
  return new PpmlError("open.not_authentic", "the file is not what was sealed");
}
