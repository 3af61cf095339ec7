import { z } from "zod";
import { encodeJcs } from "./jcs.ts";
import { kekIdSchema, wrappedLocalKeySchema } from "./kek.ts";
import { base64UrlSchema, sha256HexSchema } from "./schema.ts";

/** A resource's content has at most so many bytes. */
export const MAX_RESOURCE_BYTES = 64 * 1024;

const SEGMENT = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * A resource's path: `repo/type/tag`, each part 1 to 64 letters, digits, '.', '_' or '-', and none of
 * them `.` or `..`. @see docs/protocol.md "Resources"
 */
export const resourcePathSchema = z.string().max(194).refine(isResourcePath, {
  error:
    "expected repo/type/tag, each of 1 to 64 letters, digits, '.', '_' or '-', and none of them '.' or '..'",
});

function isResourcePath(path: string): boolean {
  const parts = path.split("/");
  return (
    parts.length === 3 && parts.every((part) => SEGMENT.test(part) && part !== "." && part !== "..")
  );
}

/** The content, encrypted with AES-256-GCM under a local key of its own that is wrapped under a KEK. */
export const sealedResourceSchema = z.strictObject({
  key: wrappedLocalKeySchema,
  /** 12 bytes. */
  iv: base64UrlSchema.length(16),
  /** The ciphertext and its tag of 16 bytes. */
  ciphertext: base64UrlSchema.min(22).max(Math.ceil(((MAX_RESOURCE_BYTES + 16) * 4) / 3)),
});
export type SealedResource = z.infer<typeof sealedResourceSchema>;

/** What the owner signs of a resource (kind `resource`). @see docs/format.md section "Resources" */
export const resourceSchema = z.strictObject({
  v: z.literal(1),
  path: resourcePathSchema,
  /** Rises with each change: an older content never comes back. */
  version: z.int().min(1),
  /** Null: the resource is removed, and its versions are not free again. */
  sealed: sealedResourceSchema.nullable(),
});
export type Resource = z.infer<typeof resourceSchema>;

/** What the broker tells of a resource: nothing that could be opened. */
export const resourceEntrySchema = z.strictObject({
  path: resourcePathSchema,
  version: z.int().min(1),
  digest: sha256HexSchema,
  /** Null where it was removed. */
  kekId: kekIdSchema.nullable(),
});
export type ResourceEntry = z.infer<typeof resourceEntrySchema>;

/** The AAD of a resource's ciphertext: its place, its version and the key that wraps its key. */
export function resourceAad(options: {
  readonly path: string;
  readonly version: number;
  readonly key: SealedResource["key"];
}): Uint8Array {
  const { path, version, key } = options;
  const { id, kekId, kekVersion } = key;
  return encodeJcs({ what: "ppml resource v1", path, version, key: { id, kekId, kekVersion } });
}
