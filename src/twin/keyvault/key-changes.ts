import type { z } from "zod";
import { joinable, keep, newVersionId, nowOf, requireVersion } from "./collection.ts";
import type { Shelf } from "./collection.ts";
import type { KeyDocument, KeyVersion } from "./documents.ts";
import { decodeBase64Url } from "./forms.ts";
import type { attributesSchema } from "./forms.ts";
import type { Instance } from "./instance.ts";
import { TYPES } from "./key-forms.ts";
import type { createSchema, importSchema, PolicyBody, updateSchema } from "./key-forms.ts";
import { bitsOf, importMaterial, isRsa, makeMaterial } from "./key-material.ts";
import { badParameter, forbidden } from "./refusal.ts";
import { parseReleasePolicy } from "./release-policy.ts";
import type { Parts } from "./routes.ts";
import { current } from "./shelf-routes.ts";

/** A request to make a key. */
export type CreateRequest = z.infer<typeof createSchema> & { readonly name: string };

/** Makes a key, or a new version of one. @throws KeyVaultRefusal */
export async function createKey(
  parts: Parts,
  shelf: Shelf<KeyVersion, KeyDocument>,
  request: CreateRequest,
): Promise<KeyDocument> {
  const { name, kty, key_ops, attributes = {}, tags = {}, release_policy } = request;
  requireKind(shelf.instance, kty);
  const before = joinable(shelf, name);
  const exportable = attributes.exportable ?? false;
  const releasePolicy = checkPolicy({ before, kty, exportable, policy: release_policy });
  parts.throttle(shelf.instance, kty.endsWith("-HSM") ? "hsm-create" : "software-create");
  const shape = { kty, bits: request.key_size ?? null, curve: request.crv ?? null };
  const material = await makeMaterial(shape);
  const version: KeyVersion = {
    ...freshVersion(shelf, { attributes, tags }),
    kty,
    keyOps: key_ops ?? defaultOperations(kty),
    exportable,
    material,
  };
  return addVersion(shelf, { name, version, releasePolicy });
}

/** A request to import a key. */
export type ImportRequest = z.infer<typeof importSchema> & { readonly name: string };

/** Takes a key that was made elsewhere. @throws KeyVaultRefusal */
export function importKey(
  shelf: Shelf<KeyVersion, KeyDocument>,
  request: ImportRequest,
): KeyDocument {
  const { name, key, attributes = {}, tags = {}, release_policy } = request;
  const { kty: given, key_ops, kid: _, ...members } = key;
  const isHsm = request.Hsm === true || given.endsWith("-HSM") || shelf.instance.kind === "hsm";
  const kty = TYPES.parse(isHsm && !given.endsWith("-HSM") ? `${given}-HSM` : given);
  requireKind(shelf.instance, kty);
  const before = joinable(shelf, name);
  const exportable = attributes.exportable ?? false;
  const releasePolicy = checkPolicy({ before, kty, exportable, policy: release_policy });
  const jwk = Object.entries({ ...members, kty: given }).flatMap(([member, value]) =>
    typeof value === "string" ? [[member, value] as const] : [],
  );
  const version: KeyVersion = {
    ...freshVersion(shelf, { attributes, tags }),
    kty,
    keyOps: key_ops ?? defaultOperations(kty),
    exportable,
    material: importMaterial(Object.fromEntries(jwk)),
  };
  return addVersion(shelf, { name, version, releasePolicy });
}

/** "Creates a new version of an existing key (with the same parameters)." @see Azure's list of data actions */
export async function rotateKey(
  parts: Parts,
  shelf: Shelf<KeyVersion, KeyDocument>,
  name: string,
): Promise<KeyDocument> {
  const { document, version: before } = requireVersion(shelf, { name, version: "" });
  requireEnabled(before, "rotate");
  const { kty, keyOps, exportable, tags } = before;
  parts.throttle(shelf.instance, kty.endsWith("-HSM") ? "hsm-create" : "software-create");
  const bits = kty.startsWith("EC") ? null : bitsOf(before);
  const material = await makeMaterial({ kty, bits, curve: before.material["crv"] ?? null });
  const version: KeyVersion = {
    ...freshVersion(shelf, { attributes: {}, tags }),
    kty,
    keyOps,
    exportable,
    material,
  };
  return addVersion(shelf, { name, version, releasePolicy: document.releasePolicy });
}

/** Changes what of a version may change, and the policy of a key. @throws KeyVaultRefusal */
export function updateKey(
  shelf: Shelf<KeyVersion, KeyDocument>,
  place: { readonly name: string; readonly version: string },
  request: z.infer<typeof updateSchema>,
): { readonly document: KeyDocument; readonly version: KeyVersion } {
  const { document, version: before } = requireVersion(shelf, place);
  const { attributes = {}, key_ops, tags, release_policy } = request;
  if (attributes.exportable !== undefined && attributes.exportable !== before.exportable)
    throw badParameter("AKV.SKR.1014: Cannot modify the exportable state of a key.");
  if (release_policy !== undefined && place.version !== "")
    throw badParameter("AKV.SKR.1016: Key Release Policy can only be set on versionless key.");
  const { kty, exportable } = before;
  const releasePolicy =
    release_policy === undefined
      ? document.releasePolicy
      : checkPolicy({ before: document, kty, exportable, policy: release_policy });
  const version: KeyVersion = {
    ...before,
    enabled: attributes.enabled ?? before.enabled,
    nbf: attributes.nbf === undefined ? before.nbf : attributes.nbf,
    exp: attributes.exp === undefined ? before.exp : attributes.exp,
    keyOps: key_ops ?? before.keyOps,
    tags: tags ?? before.tags,
    updated: nowOf(shelf),
  };
  const versions = document.versions.map((one) => (one === before ? version : one));
  const changed: KeyDocument = { ...document, releasePolicy, versions };
  keep(shelf, changed);
  return { document: changed, version };
}

function addVersion(
  shelf: Shelf<KeyVersion, KeyDocument>,
  added: {
    readonly name: string;
    readonly version: KeyVersion;
    readonly releasePolicy: KeyDocument["releasePolicy"];
  },
): KeyDocument {
  const { name, version, releasePolicy } = added;
  // Read again: making the key took time, and another request may have added a version.
  const before = joinable(shelf, name);
  const document: KeyDocument = {
    name: before?.name ?? name,
    deleted: null,
    managed: false,
    releasePolicy,
    versions: [...(before?.versions ?? []), version],
  };
  keep(shelf, document);
  return document;
}

function freshVersion(
  shelf: Shelf<KeyVersion, KeyDocument>,
  given: {
    readonly attributes: z.infer<typeof attributesSchema>;
    readonly tags: Readonly<Record<string, string>>;
  },
) {
  const { enabled = true, nbf = null, exp = null } = given.attributes;
  const created = nowOf(shelf);
  const tags = { ...given.tags };
  return { version: newVersionId(shelf), enabled, nbf, exp, created, updated: created, tags };
}

function checkPolicy(asked: {
  readonly before: KeyDocument | null;
  readonly kty: KeyVersion["kty"];
  readonly exportable: boolean;
  readonly policy: PolicyBody | undefined;
}): KeyDocument["releasePolicy"] {
  const { before, kty, exportable, policy } = asked;
  const known = before?.releasePolicy ?? null;
  if (before !== null && current(before).exportable !== exportable)
    throw badParameter(
      "AKV.SKR.1003: The exportable attribute of an existing key cannot be changed.",
    );
  if (!exportable && policy !== undefined)
    throw badParameter("AKV.SKR.1005: Non-exportable keys must not have release policy.");
  if (!exportable) return null;
  if (!kty.endsWith("-HSM")) throw badParameter("AKV.SKR.1006: Exportable keys must be HSM keys.");
  if (policy === undefined && known === null)
    throw badParameter("AKV.SKR.1004: Exportable keys must have release policy.");
  if (policy === undefined) return known;
  parseReleasePolicy(decodeBase64Url(policy.data, "release_policy.data"));
  const data = policy.data.replace(/={1,2}$/, "");
  if (known?.immutable === true) {
    if (known.data === data) return known;
    throw badParameter("AKV.SKR.1020: Immutable Key Release Policy cannot be modified.");
  }
  const contentType = policy.contentType ?? "application/json; charset=utf-8";
  return { contentType, data, immutable: policy.immutable ?? false };
}

/** Refuses the use of a disabled version, a GET included. @throws KeyVaultRefusal 403 */
export function requireEnabled(version: KeyVersion, operation: string): void {
  if (!version.enabled)
    throw forbidden(`Operation ${operation} is not allowed on a disabled key.`, "KeyDisabled");
}

function requireKind(instance: Instance, kty: KeyVersion["kty"]): void {
  if (instance.kind === "hsm" && !kty.endsWith("-HSM"))
    throw badParameter(`Property kty has invalid value: a Managed HSM has no keys of type ${kty}`);
  if (instance.kind === "vault" && kty.startsWith("oct"))
    throw badParameter(`Property kty has invalid value: ${kty}`);
  if (kty.endsWith("-HSM") && !instance.hasHsm)
    throw forbidden("Hardware key operation not allowed on standard vault");
}

function defaultOperations(kty: KeyVersion["kty"]): string[] {
  if (isRsa(kty)) return ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"];
  return kty.startsWith("EC") ? ["sign", "verify"] : ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
}
