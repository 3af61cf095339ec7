import { z } from "zod";
import type { ResourceChange } from "../service.ts";
import { lookUp } from "./collection.ts";
import { CERTIFICATES, KEYS, SECRETS } from "./documents.ts";
import { attributesSchema, requireName } from "./forms.ts";
import {
  HSM_DOMAINS,
  requireActivated,
  requireArmAllowed,
  securityDomainProperties,
} from "./hsm-domain.ts";
import { HSM_ASSIGNMENTS } from "./hsm-roles.ts";
import { instanceOf } from "./instance.ts";
import { createKey } from "./key-changes.ts";
import { createSchema, KEY_KIND, kidOf } from "./key-forms.ts";
import { badParameter } from "./refusal.ts";
import type { Parts } from "./routes.ts";
import { addSecret, SECRET_KIND, secretId } from "./secrets.ts";
import { current } from "./shelf-routes.ts";

/** properties of Microsoft.KeyVault/vaults/keys and managedHSMs/keys. ARM has no member for a policy's immutability. */
const keySchema = z.strictObject({
  kty: createSchema.shape.kty,
  keySize: z.int().optional(),
  curveName: z.string().optional(),
  keyOps: createSchema.shape.key_ops,
  attributes: createSchema.shape.attributes,
  release_policy: z
    .strictObject({ contentType: z.string().optional(), data: z.string() })
    .optional(),
});

/** properties of Microsoft.KeyVault/vaults/secrets. */
const secretSchema = z.strictObject({
  value: z.string(),
  contentType: z.string().optional(),
  attributes: attributesSchema.optional(),
});

/**
 * What ARM's changes mean in a vault: a key that is not there is made (one that is stays as it is), a
 * secret gets a version, and a vault that is purged takes all of its objects with it. A Managed HSM
 * takes keys of ARM's once it is activated and its administrators allow that; a recovered one is as it
 * was.
 * @throws KeyVaultRefusal which fails the resource
 * @see learn.microsoft.com/azure/templates/microsoft.keyvault/vaults/keys
 */
export async function followArm(
  parts: Parts,
  change: ResourceChange,
): Promise<Readonly<Record<string, unknown>> | null> {
  const type = change.type.toLowerCase();
  const [vaultName = "", objectName = ""] = change.name.split("/");
  const domain = type.startsWith("microsoft.keyvault/managedhsms") ? "managedhsm" : "vault";
  const host = `${vaultName.toLowerCase()}.${domain}.azure.net`;
  if (/^microsoft\.keyvault\/(?:vaults|managedhsms)$/.test(type)) {
    if (change.action === "purge") removeAll(parts, host);
    if (change.action === "delete" || change.action === "purge") return null;
    const uri = `https://${host}/`;
    return domain === "vault"
      ? { vaultUri: uri }
      : {
          hsmUri: uri,
          securityDomainProperties: securityDomainProperties(parts.base.state, host),
        };
  }
  if (change.action !== "put") return null;
  if (/^microsoft\.keyvault\/(?:vaults|managedhsms)\/keys$/.test(type))
    return await putKey(parts, { host, name: objectName, change });
  if (type === "microsoft.keyvault/vaults/secrets")
    return putSecret(parts, { host, name: objectName, change });
  return null;
}

type Put = { readonly host: string; readonly name: string; readonly change: ResourceChange };

async function putKey(parts: Parts, { host, name, change }: Put) {
  const instance = instanceOf(host, parts.base.authority);
  requireActivated(parts.base.state, instance);
  requireArmAllowed(parts.base.state, instance);
  const shelf = { collection: KEY_KIND.collection, instance, base: parts.base };
  const known = lookUp(shelf, requireName(name));
  const document =
    known !== null && known.deleted === null
      ? known
      : await createKey(parts, shelf, keyRequest(name, change));
  return {
    keyUri: kidOf(instance, document.name, ""),
    keyUriWithVersion: kidOf(instance, document.name, current(document).version),
  };
}

function keyRequest(name: string, change: ResourceChange) {
  const parsed = parse(keySchema, change);
  const { kty, keySize, curveName, keyOps, attributes, release_policy } = parsed;
  return {
    name,
    kty,
    tags: { ...change.tags },
    ...(keySize === undefined ? {} : { key_size: keySize }),
    ...(curveName === undefined ? {} : { crv: curveName }),
    ...(keyOps === undefined ? {} : { key_ops: keyOps }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(release_policy === undefined ? {} : { release_policy }),
  };
}

function putSecret(parts: Parts, { host, name, change }: Put) {
  const instance = instanceOf(host, parts.base.authority);
  const shelf = { collection: SECRET_KIND.collection, instance, base: parts.base };
  const { value, contentType, attributes } = parse(secretSchema, change);
  const document = addSecret(shelf, {
    name: requireName(name),
    value,
    managed: false,
    tags: { ...change.tags },
    ...(contentType === undefined ? {} : { contentType }),
    ...(attributes === undefined ? {} : { attributes }),
  });
  return {
    secretUri: secretId(instance, document.name, ""),
    secretUriWithVersion: secretId(instance, document.name, current(document).version),
  };
}

function removeAll({ base: { state } }: Parts, host: string): void {
  const within = { prefix: `${host}/` };
  for (const { id } of state.list(KEYS, within)) state.remove(KEYS, id);
  for (const { id } of state.list(SECRETS, within)) state.remove(SECRETS, id);
  for (const { id } of state.list(CERTIFICATES, within)) state.remove(CERTIFICATES, id);
  for (const { id } of state.list(HSM_ASSIGNMENTS, within)) state.remove(HSM_ASSIGNMENTS, id);
  state.remove(HSM_DOMAINS, host);
}

function parse<T>(schema: z.ZodType<T>, change: ResourceChange): T {
  // What ARM's own answers add.
  const {
    keyUri: _,
    keyUriWithVersion: __,
    secretUri: ___,
    secretUriWithVersion: ____,
    ...rest
  } = change.properties;
  const result = schema.safeParse(rest);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw badParameter(
    `Property ${issue?.path.join(".") ?? ""} of ${change.name} has invalid value: ${issue?.message ?? ""}`,
  );
}
