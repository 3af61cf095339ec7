import { toHex } from "../../base/index.ts";
import type { TwinBase } from "../service.ts";
import type { DocumentKind } from "../state.ts";
import type { Instance } from "./instance.ts";
import { recoveryLevelOf } from "./instance.ts";
import {
  badParameter,
  deletedButRecoverable,
  forbidden,
  KeyVaultRefusal,
  notFound,
} from "./refusal.ts";

const DAY_SECONDS = 86_400;

/** What every version of every kind of object has. */
export type Version = {
  readonly version: string;
  readonly enabled: boolean;
  readonly nbf: number | null;
  readonly exp: number | null;
  readonly created: number;
  readonly updated: number;
  readonly tags: Readonly<Record<string, string>>;
};

/** What every kind of object has; the current version is the last one. */
export type Versioned<V extends Version> = {
  readonly name: string;
  readonly deleted: { readonly at: number; readonly purge: number } | null;
  readonly versions: readonly V[];
};

/** One kind of object: keys, secrets or certificates. */
export type Collection<V extends Version, D extends Versioned<V>> = {
  readonly path: "keys" | "secrets" | "certificates";
  readonly noun: "Key" | "Secret" | "Certificate";
  readonly kind: DocumentKind<D>;
};

/** An instance's objects of one kind, with soft deletion computed from the clock. */
export type Shelf<V extends Version, D extends Versioned<V>> = {
  readonly collection: Collection<V, D>;
  readonly instance: Instance;
  readonly base: Pick<TwinBase, "state" | "clock" | "random">;
};

/** Seconds since 1970. */
export function nowOf({ base }: { readonly base: Pick<TwinBase, "clock"> }): number {
  return Math.floor(base.clock() / 1000);
}

/** A new version's id. */
export function newVersionId({ base }: { readonly base: Pick<TwinBase, "random"> }): string {
  return toHex(base.random(16));
}

/** An object, deleted or not; null where there is none or the vault has purged it since. */
export function lookUp<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  name: string,
): D | null {
  const { state } = shelf.base;
  const id = idOf(shelf, name);
  const found = state.get(shelf.collection.kind, id);
  if (found?.deleted === null || found === null) return found;
  if (nowOf(shelf) < found.deleted.purge) return found;
  state.remove(shelf.collection.kind, id);
  return null;
}

/** All objects, deleted or not as asked, in the order of their names. */
export function listAll<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  options: { readonly deleted: boolean },
): readonly D[] {
  return shelf.base.state
    .list(shelf.collection.kind, { prefix: `${shelf.instance.host}/` })
    .flatMap(({ document }) => lookUp(shelf, document.name) ?? [])
    .filter((document) => (document.deleted !== null) === options.deleted);
}

/** An object that is there. @throws KeyVaultRefusal 404 */
export function requireObject<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  name: string,
): D {
  const found = lookUp(shelf, name);
  if (found?.deleted === null) return found;
  throw notFound(shelf.collection.noun, name);
}

/** A version of an object that is there: the current one where none is named. @throws KeyVaultRefusal 404 */
export function requireVersion<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  place: { readonly name: string; readonly version: string },
): { readonly document: D; readonly version: V } {
  const { name, version: wanted } = place;
  const document = requireObject(shelf, name);
  const version =
    wanted === ""
      ? document.versions.at(-1)
      : document.versions.find(({ version: id }) => id === wanted);
  if (version === undefined) throw notFound(shelf.collection.noun, `${name}/${wanted}`);
  return { document, version };
}

/** Keeps an object. */
export function keep<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  document: D,
): void {
  shelf.base.state.put(shelf.collection.kind, idOf(shelf, document.name), document);
}

/** The object that a new version joins; null where the name is free. @throws KeyVaultRefusal 409 */
export function joinable<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  name: string,
): D | null {
  const found = lookUp(shelf, name);
  if (found !== null && found.deleted !== null)
    throw deletedButRecoverable(shelf.collection.noun, name);
  return found;
}

/** Deletes an object: it can be recovered until the retention has passed. @throws KeyVaultRefusal 404 */
export function softDelete<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  name: string,
): D {
  const at = nowOf(shelf);
  const end = at + shelf.instance.retentionDays * DAY_SECONDS;
  const document: D = { ...requireObject(shelf, name), deleted: { at, purge: end } };
  keep(shelf, document);
  return document;
}

/** A deleted object. @throws KeyVaultRefusal 404 */
export function requireDeleted<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  name: string,
): D {
  const found = lookUp(shelf, name);
  if (found !== null && found.deleted !== null) return found;
  const { noun } = shelf.collection;
  throw new KeyVaultRefusal(404, `${noun}NotFound`, {
    message: `Deleted ${noun} not found: ${name}`,
  });
}

/** Undoes a deletion. @throws KeyVaultRefusal 404 */
export function recover<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  name: string,
): D {
  const document: D = { ...requireDeleted(shelf, name), deleted: null };
  keep(shelf, document);
  return document;
}

/** Purges a deleted object, where the instance allows that. @throws KeyVaultRefusal 403, 404 */
export function purge<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  name: string,
): void {
  requireDeleted(shelf, name);
  if (shelf.instance.purgeProtection)
    throw forbidden(
      `Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.\r\nVault: ${shelf.instance.name};location=${shelf.instance.location}`,
    );
  shelf.base.state.remove(shelf.collection.kind, idOf(shelf, name));
}

/** The attributes of an answer. */
export function attributesOf(instance: Instance, version: Version) {
  const { enabled, nbf, exp, created, updated } = version;
  return {
    enabled,
    ...(nbf === null ? {} : { nbf }),
    ...(exp === null ? {} : { exp }),
    created,
    updated,
    recoveryLevel: recoveryLevelOf(instance),
    recoverableDays: instance.retentionDays,
  };
}

/** What an answer about a deleted object has besides the object's own members. */
export function deletionOf<V extends Version, D extends Versioned<V>>(
  shelf: Shelf<V, D>,
  document: D,
) {
  if (document.deleted === null) return {};
  return {
    recoveryId: `https://${shelf.instance.host}/deleted${shelf.collection.path}/${document.name}`,
    deletedDate: document.deleted.at,
    scheduledPurgeDate: document.deleted.purge,
  };
}

/** A page of a list: at most `maxresults` items (25 where it is not given), and where the next begins. */
export function pageOf<T>(items: readonly T[], url: URL) {
  const given = url.searchParams.get("maxresults");
  const size = given === null ? 25 : Number(given);
  if (!Number.isInteger(size) || size < 1 || size > 25)
    throw badParameter(`maxresults has invalid value: expected 1 to 25, came ${given}`);
  const skip = Number(url.searchParams.get("$skiptoken") ?? "0");
  if (!Number.isInteger(skip) || skip < 0) throw badParameter("$skiptoken has invalid value");
  const rest = items.slice(skip);
  const value = rest.slice(0, size);
  if (rest.length <= size) return { value, nextLink: null };
  const next = new URL(url);
  next.searchParams.set("$skiptoken", String(skip + size));
  next.searchParams.set("maxresults", String(size));
  return { value, nextLink: next.href };
}

function idOf<V extends Version, D extends Versioned<V>>(shelf: Shelf<V, D>, name: string): string {
  // Names mind no letter case in Azure.
  return `${shelf.instance.host}/${name.toLowerCase()}`;
}
