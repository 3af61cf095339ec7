import { createCipheriv, createDecipheriv, randomBytes as osRandomBytes } from "node:crypto";
import { z } from "zod";
import {
  fromBase64,
  fromBase64Url,
  fromUtf8,
  toBase64,
  toBase64Url,
  utf8,
} from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import { Secret } from "../../base/secret.ts";
import { type WrappedLocalKey, wrappedLocalKeySchema } from "../kek.ts";
import { LIMITS } from "./limits.ts";
import { importKey, notAuthentic, type RandomBytes } from "./module-cipher.ts";

const shortText = z.string().min(1).max(4096);
const base64Text = z.base64().min(4).max(4096);
const common = {
  keyMaterialType: z.literal("PKMT1"),
  internalStorage: z.literal(true),
  isFooterKey: z.boolean(),
  kmsInstanceID: z.string().max(4096).optional(),
  kmsInstanceURL: z.string().max(4096).optional(),
  masterKeyID: shortText,
};
// Open to members that other writers add; those that we read are strict.
const doubleSchema = z.looseObject({
  ...common,
  doubleWrapping: z.literal(true),
  keyEncryptionKeyID: base64Text,
  wrappedKEK: shortText,
  wrappedDEK: base64Text,
});
const singleSchema = z.looseObject({
  ...common,
  doubleWrapping: z.literal(false),
  wrappedDEK: shortText,
});
const keyMaterialSchema = z.discriminatedUnion("doubleWrapping", [doubleSchema, singleSchema]);

type Common = {
  readonly isFooterKey: boolean;
  /** The KMS and its address, which writers give with the footer key only. */
  readonly kmsInstanceId: string | null;
  readonly kmsInstanceUrl: string | null;
  /** The KEK's id. */
  readonly masterKeyId: string;
};

/** DEK under a local key, that one under the KEK. */
export type DoubleWrappedMaterial = Common & {
  readonly doubleWrapping: true;
  /** 16 bytes from our writer; others may differ. */
  readonly localKeyId: Uint8Array;
  /** Text that the KMS understands; ours is `KEK version.base64url of RSA-OAEP-256`. */
  readonly wrappedLocalKey: string;
  /** nonce 12 | ciphertext | tag 16, AAD = `localKeyId`. */
  readonly wrappedDek: Uint8Array;
};

/** DEK under the KEK itself. */
export type SingleWrappedMaterial = Common & {
  readonly doubleWrapping: false;
  /** Text that the KMS understands. */
  readonly wrappedDek: string;
};

/** What a table's key metadata says of how to get a DEK: key material of type PKMT1. */
export type KeyMaterial = DoubleWrappedMaterial | SingleWrappedMaterial;

/**
 * Parses key metadata: PKMT1 JSON with internal storage.
 * @throws format.invalid, format.too_large, format.unsupported (external storage, other types)
 * @see docs/format-table.md section "Key metadata"
 */
export function parseKeyMaterial(keyMetadata: Uint8Array): KeyMaterial {
  const json = parseJson(keyMetadata);
  const outer = z
    .looseObject({ keyMaterialType: z.string(), internalStorage: z.boolean() })
    .safeParse(json);
  if (!outer.success) throw invalid("it has no keyMaterialType or internalStorage");
  if (outer.data.keyMaterialType !== "PKMT1")
    throw unsupported(`its type is not PKMT1 but ${JSON.stringify(outer.data.keyMaterialType)}`);
  if (!outer.data.internalStorage)
    throw unsupported("its keys are stored outside the file: write it with internal key material");
  const parsed = keyMaterialSchema.safeParse(json);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  const { data } = parsed;
  const known: Common = {
    isFooterKey: data.isFooterKey,
    kmsInstanceId: data.kmsInstanceID ?? null,
    kmsInstanceUrl: data.kmsInstanceURL ?? null,
    masterKeyId: data.masterKeyID,
  };
  if (!data.doubleWrapping) return { ...known, doubleWrapping: false, wrappedDek: data.wrappedDEK };
  return {
    ...known,
    doubleWrapping: true,
    localKeyId: base64Of(data.keyEncryptionKeyID),
    wrappedLocalKey: data.wrappedKEK,
    wrappedDek: base64Of(data.wrappedDEK),
  };
}

/** Encodes key material as PKMT1 JSON, members in the order of docs/format-table.md. */
export function encodeKeyMaterial(material: KeyMaterial): Uint8Array {
  const kms = {
    ...(material.kmsInstanceId === null ? {} : { kmsInstanceID: material.kmsInstanceId }),
    ...(material.kmsInstanceUrl === null ? {} : { kmsInstanceURL: material.kmsInstanceUrl }),
  };
  const wrapped = material.doubleWrapping
    ? {
        keyEncryptionKeyID: toBase64(material.localKeyId),
        wrappedKEK: material.wrappedLocalKey,
        wrappedDEK: toBase64(material.wrappedDek),
      }
    : { wrappedDEK: material.wrappedDek };
  return utf8(
    JSON.stringify({
      keyMaterialType: "PKMT1",
      internalStorage: true,
      isFooterKey: material.isFooterKey,
      ...kms,
      masterKeyID: material.masterKeyId,
      doubleWrapping: material.doubleWrapping,
      ...wrapped,
    }),
  );
}

/** Key material of our writer: a DEK under a local key that is wrapped under a KEK. */
export function toKeyMaterial(from: {
  readonly localKey: WrappedLocalKey;
  /** As `wrapDek` gives it. */
  readonly wrappedDek: Uint8Array;
  readonly isFooterKey: boolean;
}): DoubleWrappedMaterial {
  const { localKey, isFooterKey } = from;
  return {
    isFooterKey,
    // Other readers insist on both for a footer key; neither says anything to ours.
    kmsInstanceId: isFooterKey ? "ppml" : null,
    kmsInstanceUrl: isFooterKey ? "DEFAULT" : null,
    masterKeyId: localKey.kekId,
    doubleWrapping: true,
    localKeyId: fromBase64Url(localKey.id),
    wrappedLocalKey: `${localKey.kekVersion}.${localKey.wrapped}`,
    wrappedDek: from.wrappedDek,
  };
}

/**
 * The wrapped local key that our writer's key material names.
 * @throws format.unsupported where the material is another writer's
 */
export function toWrappedLocalKey(material: KeyMaterial): WrappedLocalKey {
  if (!material.doubleWrapping) throw unsupported("it is not double-wrapped, as ppml's is");
  const dot = material.wrappedLocalKey.indexOf(".");
  const parsed = wrappedLocalKeySchema.safeParse({
    id: toBase64Url(material.localKeyId),
    kekId: material.masterKeyId,
    kekVersion: material.wrappedLocalKey.slice(0, Math.max(dot, 0)),
    wrapped: material.wrappedLocalKey.slice(dot + 1),
  });
  if (!parsed.success) throw unsupported("its wrapped key is not of ppml's form");
  return parsed.data;
}

/**
 * Unwraps the DEK of double-wrapped material with the local key that `localKey` gives for its id
 * (base64url of the bytes in the file) and the KEK's.
 * @throws open.not_authentic, format.unsupported (single wrapping), and what `localKey` throws
 */
export function unwrapTableDek(
  material: KeyMaterial,
  localKey: (local: { readonly id: string; readonly kekId: string }) => Secret,
): Secret {
  if (!material.doubleWrapping) throw unsupported("its DEK is under the KEK itself");
  const { localKeyId, wrappedDek: wrapped, masterKeyId: kekId } = material;
  return unwrapDek({
    wrapped,
    localKey: localKey({ id: toBase64Url(localKeyId), kekId }),
    localKeyId,
  });
}

/**
 * Wraps a DEK under a local key: nonce 12 (random, used once) | AES-GCM ciphertext | tag 16, with
 * the local key's id as AAD.
 */
export function wrapDek(wrap: {
  readonly dek: Secret;
  /** 32 bytes from our writer. */
  readonly localKey: Secret;
  /** 16 bytes. */
  readonly localKeyId: Uint8Array;
  readonly randomBytes?: RandomBytes;
}): Uint8Array {
  const key = importKey(wrap.localKey);
  const nonce = (wrap.randomBytes ?? osRandomBytes)(12);
  const cipher = createCipheriv(gcm(wrap.localKey), key, nonce, { authTagLength: 16 });
  cipher.setAAD(wrap.localKeyId);
  const ciphertext = wrap.dek.expose((dek) => cipher.update(dek));
  cipher.final();
  return new Uint8Array(Buffer.concat([nonce, ciphertext, cipher.getAuthTag()]));
}

/**
 * Unwraps what `wrapDek`, parquet-java or Arrow wrapped under a local key of 16, 24 or 32 bytes.
 * @throws open.not_authentic
 */
export function unwrapDek(unwrap: {
  readonly wrapped: Uint8Array;
  readonly localKey: Secret;
  readonly localKeyId: Uint8Array;
}): Secret {
  const { wrapped } = unwrap;
  if (wrapped.byteLength < 12 + 16 + 16 || wrapped.byteLength > 12 + 32 + 16) throw notAuthentic();
  const key = importKey(unwrap.localKey);
  const nonce = wrapped.subarray(0, 12);
  const decipher = createDecipheriv(gcm(unwrap.localKey), key, nonce, { authTagLength: 16 });
  decipher.setAAD(unwrap.localKeyId);
  decipher.setAuthTag(wrapped.subarray(wrapped.byteLength - 16));
  const dek = decipher.update(wrapped.subarray(12, wrapped.byteLength - 16));
  try {
    decipher.final();
  } catch {
    dek.fill(0);
    throw notAuthentic();
  }
  return Secret.take(dek);
}

function gcm(key: Secret): "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm" {
  if (key.byteLength === 16) return "aes-128-gcm";
  return key.byteLength === 24 ? "aes-192-gcm" : "aes-256-gcm";
}

function parseJson(keyMetadata: Uint8Array): unknown {
  if (keyMetadata.byteLength > LIMITS.keyMetadataBytes)
    throw new PpmlError("format.too_large", `a key metadata has ${keyMetadata.byteLength} bytes`);
  try {
    return JSON.parse(fromUtf8(keyMetadata));
  } catch {
    throw invalid("it is not JSON");
  }
}

function base64Of(text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch (cause) {
    throw new PpmlError("format.invalid", "the table's key metadata has bad base64", { cause });
  }
}

function invalid(what: string): PpmlError {
  return new PpmlError("format.invalid", `the table's key metadata is not valid: ${what}`);
}

function unsupported(what: string): PpmlError {
  return new PpmlError("format.unsupported", `the table's key metadata is not read: ${what}`);
}
