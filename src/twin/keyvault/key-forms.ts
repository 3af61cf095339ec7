import { z } from "zod";
import type { DataAction } from "./access.ts";
import { attributesOf } from "./collection.ts";
import { KEYS } from "./documents.ts";
import type { KeyDocument, KeyVersion } from "./documents.ts";
import { attributesSchema, base64UrlText, tagsSchema } from "./forms.ts";
import type { Instance } from "./instance.ts";
import { publicMembers } from "./key-material.ts";
import { current, itemOf } from "./shelf-routes.ts";
import type { ShelfKind } from "./shelf-routes.ts";

const OPERATIONS = z.enum([
  "encrypt",
  "decrypt",
  "sign",
  "verify",
  "wrapKey",
  "unwrapKey",
  "import",
  "export",
]);

/** Types of keys. */
export const TYPES = z.enum(["RSA", "RSA-HSM", "EC", "EC-HSM", "oct", "oct-HSM"]);

const policySchema = z.strictObject({
  contentType: z.string().max(200).optional(),
  data: base64UrlText,
  immutable: z.boolean().optional(),
});
/** A release policy as a request brings it. */
export type PolicyBody = z.infer<typeof policySchema>;

const keyAttributes = attributesSchema.extend({ exportable: z.boolean().optional() });
const shared = {
  key_ops: z.array(OPERATIONS).optional(),
  attributes: keyAttributes.optional(),
  tags: tagsSchema.optional(),
  release_policy: policySchema.optional(),
};
/** POST keys/NAME/create. */
export const createSchema = z.strictObject({
  kty: TYPES,
  key_size: z.int().optional(),
  public_exponent: z.literal(65_537).optional(),
  crv: z.string().optional(),
  ...shared,
});
/** PUT keys/NAME. */
export const importSchema = z.strictObject({
  Hsm: z.boolean().optional(),
  key: z.strictObject({
    kid: z.string().optional(),
    kty: TYPES,
    key_ops: z.array(OPERATIONS).optional(),
    ...Object.fromEntries(
      ["n", "e", "d", "dp", "dq", "qi", "p", "q", "k", "x", "y"].map((name) => [
        name,
        base64UrlText.optional(),
      ]),
    ),
    crv: z.string().optional(),
  }),
  attributes: keyAttributes.optional(),
  tags: tagsSchema.optional(),
  release_policy: policySchema.optional(),
});
/** PATCH keys/NAME[/VERSION]. */
export const updateSchema = z.strictObject(shared);

/** A data action of both planes. */
export const act = (vault: string, hsm: string): DataAction => ({
  vault: `Microsoft.KeyVault/vaults/keys/${vault}`,
  hsm: `Microsoft.KeyVault/managedHsm/keys/${hsm}`,
});

/** Keys, as answers show them. */
export const KEY_KIND: ShelfKind<KeyVersion, KeyDocument> = {
  collection: { path: "keys", noun: "Key", kind: KEYS },
  show: (instance, document, version = current(document)) => ({
    key: {
      kid: kidOf(instance, document.name, version.version),
      kty: version.kty,
      key_ops: version.keyOps,
      ...publicMembers(version),
    },
    attributes: { ...attributesOf(instance, version), exportable: version.exportable },
    tags: version.tags,
    ...(document.managed ? { managed: true } : {}),
    ...(document.releasePolicy === null ? {} : { release_policy: document.releasePolicy }),
  }),
  item: (instance, { document, version, versioned }) =>
    itemOf(instance, {
      member: "kid",
      id: kidOf(instance, document.name, versioned ? version.version : ""),
      version,
      attributes: { exportable: version.exportable },
    }),
  actions: {
    list: act("read", "read/action"),
    delete: act("delete", "delete"),
    readDeleted: act("read", "deletedKeys/read/action"),
    recover: act("recover/action", "deletedKeys/recover/action"),
    purge: act("purge/action", "deletedKeys/delete"),
    backup: act("backup/action", "backup/action"),
    restore: act("restore/action", "restore/action"),
  },
};

/** The URL of a key, or of one version. */
export function kidOf(instance: Instance, name: string, version: string): string {
  return `https://${instance.host}/keys/${name}${version === "" ? "" : `/${version}`}`;
}
