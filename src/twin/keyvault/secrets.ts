import { z } from "zod";
import type { DataAction } from "./access.ts";
import { attributesOf, joinable, keep, newVersionId, nowOf, requireVersion } from "./collection.ts";
import type { Shelf } from "./collection.ts";
import { SECRETS } from "./documents.ts";
import type { SecretDocument, SecretVersion } from "./documents.ts";
import { attributesSchema, parseBody, requireName, tagsSchema } from "./forms.ts";
import type { Instance } from "./instance.ts";
import { forbidden } from "./refusal.ts";
import type { Call, Parts, Route } from "./routes.ts";
import { current, itemOf, shelfRoutes } from "./shelf-routes.ts";
import type { ShelfKind } from "./shelf-routes.ts";

/** Key Vault's bound of a secret's value. */
const MAX_SECRET_CHARS = 25 * 1024;

const setSchema = z.strictObject({
  value: z.string().max(MAX_SECRET_CHARS),
  contentType: z.string().max(255).optional(),
  attributes: attributesSchema.optional(),
  tags: tagsSchema.optional(),
});
const updateSchema = setSchema.omit({ value: true });

const act = (vault: string): DataAction => ({
  vault: `Microsoft.KeyVault/vaults/secrets/${vault}`,
  hsm: null,
});

/** Secrets, as answers show them. */
export const SECRET_KIND: ShelfKind<SecretVersion, SecretDocument> = {
  collection: { path: "secrets", noun: "Secret", kind: SECRETS },
  // Without the value: only getting and setting a secret gives it.
  show: (instance, document, version = current(document)) => ({
    id: secretId(instance, document.name, version.version),
    ...contentType(version),
    attributes: attributesOf(instance, version),
    tags: version.tags,
    ...(document.managed
      ? { managed: true, kid: `https://${instance.host}/keys/${document.name}/${version.version}` }
      : {}),
  }),
  item: (instance, { document, version, versioned }) => ({
    ...itemOf(instance, {
      member: "id",
      id: secretId(instance, document.name, versioned ? version.version : ""),
      version,
    }),
    ...contentType(version),
    ...(document.managed ? { managed: true } : {}),
  }),
  actions: {
    list: act("readMetadata/action"),
    delete: act("delete"),
    readDeleted: act("readMetadata/action"),
    recover: act("recover/action"),
    purge: act("purge/action"),
    backup: act("backup/action"),
    restore: act("restore/action"),
  },
};

/** The secrets of a vault; a Managed HSM has none. */
export function secretRoutes(parts: Parts): Readonly<Record<string, Route>> {
  const on = (instance: Instance): Shelf<SecretVersion, SecretDocument> => ({
    collection: SECRET_KIND.collection,
    instance,
    base: parts.base,
  });
  const get: Route = {
    action: act("getSecret/action"),
    object: "secrets",
    run: (call) => {
      const { document, version } = requireVersion(on(call.instance), placeOf(call));
      if (!version.enabled)
        throw forbidden("Operation get is not allowed on a disabled secret.", "SecretDisabled");
      return {
        json: {
          value: version.value,
          ...SECRET_KIND.show(call.instance, document, version),
        },
      };
    },
  };
  const update: Route = {
    action: act("update/action"),
    object: "secrets",
    run: async (call) => {
      const request = parseBody(updateSchema, await call.body());
      const shelf = on(call.instance);
      const { document, version } = requireVersion(shelf, placeOf(call));
      const changed = updated(shelf, { version, request });
      const versions = document.versions.map((one) => (one === version ? changed : one));
      keep(shelf, { ...document, versions });
      return { json: SECRET_KIND.show(call.instance, { ...document, versions }, changed) };
    },
  };
  return {
    ...shelfRoutes(parts, SECRET_KIND),
    "PUT /secrets/:name": {
      action: act("setSecret/action"),
      object: "secrets",
      limit: "secret-create",
      run: async (call) => {
        const name = requireName(call.parameter("name"));
        const request = parseBody(setSchema, await call.body());
        const shelf = on(call.instance);
        const document = addSecret(shelf, { name, managed: false, ...request });
        const { value } = request;
        return { json: { value, ...SECRET_KIND.show(call.instance, document) } };
      },
    },
    "GET /secrets/:name": get,
    "GET /secrets/:name/:version": get,
    "PATCH /secrets/:name/:version": update,
  };
}

/** Adds a version of a secret. @throws KeyVaultRefusal 409 */
export function addSecret(
  shelf: Shelf<SecretVersion, SecretDocument>,
  request: z.infer<typeof setSchema> & {
    readonly name: string;
    readonly managed: boolean;
    readonly version?: string;
  },
): SecretDocument {
  const { name, value, managed, attributes = {}, tags = {} } = request;
  const before = joinable(shelf, name);
  const created = nowOf(shelf);
  const version: SecretVersion = {
    version: request.version ?? newVersionId(shelf),
    enabled: attributes.enabled ?? true,
    nbf: attributes.nbf ?? null,
    exp: attributes.exp ?? null,
    created,
    updated: created,
    tags,
    value,
    contentType: request.contentType ?? null,
  };
  const versions = [...(before?.versions ?? []), version];
  const document = { name: before?.name ?? name, deleted: null, managed, versions };
  keep(shelf, document);
  return document;
}

function updated(
  shelf: Shelf<SecretVersion, SecretDocument>,
  change: { readonly version: SecretVersion; readonly request: z.infer<typeof updateSchema> },
): SecretVersion {
  const { version, request } = change;
  const { attributes = {}, tags, contentType: type } = request;
  return {
    ...version,
    enabled: attributes.enabled ?? version.enabled,
    nbf: attributes.nbf === undefined ? version.nbf : attributes.nbf,
    exp: attributes.exp === undefined ? version.exp : attributes.exp,
    tags: tags ?? version.tags,
    contentType: type ?? version.contentType,
    updated: nowOf(shelf),
  };
}

function placeOf(call: Call): { readonly name: string; readonly version: string } {
  return { name: requireName(call.parameter("name")), version: call.parameter("version") };
}

/** The URL of a secret, or of one version. */
export function secretId(instance: Instance, name: string, version: string): string {
  return `https://${instance.host}/secrets/${name}${version === "" ? "" : `/${version}`}`;
}

function contentType(version: SecretVersion): { readonly contentType?: string } {
  return version.contentType === null ? {} : { contentType: version.contentType };
}
