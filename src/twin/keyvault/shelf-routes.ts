import { createCipheriv, createDecipheriv } from "node:crypto";
import { z } from "zod";
import { concatBytes, fromUtf8, toBase64Url, utf8 } from "../../base/index.ts";
import { defineKind } from "../state.ts";
import {
  attributesOf,
  deletionOf,
  joinable,
  keep,
  listAll,
  pageOf,
  purge,
  recover,
  requireObject,
  requireDeleted,
  softDelete,
} from "./collection.ts";
import type { Collection, Shelf, Version, Versioned } from "./collection.ts";
import { decodeBase64Url, parseBody } from "./forms.ts";
import type { Instance } from "./instance.ts";
import { badParameter, KeyVaultRefusal } from "./refusal.ts";
import type { Call, Parts, Route } from "./routes.ts";
import type { DataAction } from "./access.ts";

/** How one kind of object is shown, and what its actions are called. */
export type ShelfKind<V extends Version, D extends Versioned<V>> = {
  readonly collection: Collection<V, D>;
  /** An object's version as the answer of a GET; the current one where none is given. */
  readonly show: (
    instance: Instance,
    document: D,
    version?: V,
  ) => Readonly<Record<string, unknown>>;
  /** An entry of a list. `versioned` where the list is one of versions. */
  readonly item: (
    instance: Instance,
    entry: { readonly document: D; readonly version: V; readonly versioned: boolean },
  ) => Readonly<Record<string, unknown>>;
  readonly actions: Readonly<
    Record<
      "list" | "delete" | "recover" | "purge" | "backup" | "restore" | "readDeleted",
      DataAction
    >
  >;
};

const BACKUP_KEYS = defineKind("keyvault-backup-key", z.strictObject({ key: z.string() }));

/** The routes that keys, secrets and certificates have in common. */
export function shelfRoutes<V extends Version, D extends Versioned<V>>(
  parts: Parts,
  kind: ShelfKind<V, D>,
): Readonly<Record<string, Route>> {
  const { collection, actions } = kind;
  const { path } = collection;
  const on = (instance: Instance): Shelf<V, D> => ({ collection, instance, base: parts.base });
  const item = (instance: Instance, document: D) =>
    kind.item(instance, { document, version: current(document), versioned: false });
  return {
    [`GET /${path}`]: {
      action: actions.list,
      object: null,
      run: paged(({ instance }) =>
        listAll(on(instance), { deleted: false }).map((document) => item(instance, document)),
      ),
    },
    [`GET /${path}/:name/versions`]: {
      action: actions.list,
      object: path,
      run: paged(({ instance, parameter }) => {
        const document = requireObject(on(instance), parameter("name"));
        // By id and not by age: Key Vault promises no order.
        return [...document.versions]
          .sort((a, b) => (a.version < b.version ? -1 : 1))
          .map((version) => kind.item(instance, { document, version, versioned: true }));
      }),
    },
    [`GET /deleted${path}`]: {
      action: actions.readDeleted,
      object: null,
      run: paged(({ instance }) =>
        listAll(on(instance), { deleted: true }).map((document) =>
          Object.assign(item(instance, document), deletionOf(on(instance), document)),
        ),
      ),
    },
    [`DELETE /deleted${path}/:name`]: {
      action: actions.purge,
      object: path,
      run: ({ instance, parameter }) => {
        purge(on(instance), parameter("name"));
        return { json: null };
      },
    },
    ...deletionRoutes(kind, on),
    ...backupRoutes(parts, kind, on),
  };
}

type OnShelf<V extends Version, D extends Versioned<V>> = (instance: Instance) => Shelf<V, D>;

function deletionRoutes<V extends Version, D extends Versioned<V>>(
  { collection: { path }, actions, show }: ShelfKind<V, D>,
  on: OnShelf<V, D>,
): Readonly<Record<string, Route>> {
  const named =
    (run: (shelf: Shelf<V, D>, name: string) => D) =>
    ({ instance, parameter }: Call) => {
      const shelf = on(instance);
      const document = run(shelf, parameter("name"));
      return { json: { ...show(instance, document), ...deletionOf(shelf, document) } };
    };
  return {
    [`DELETE /${path}/:name`]: { action: actions.delete, object: path, run: named(softDelete) },
    [`GET /deleted${path}/:name`]: {
      action: actions.readDeleted,
      object: path,
      run: named(requireDeleted),
    },
    [`POST /deleted${path}/:name/recover`]: {
      action: actions.recover,
      object: path,
      run: named(recover),
    },
  };
}

function backupRoutes<V extends Version, D extends Versioned<V>>(
  parts: Parts,
  { collection, actions, show }: ShelfKind<V, D>,
  on: OnShelf<V, D>,
): Readonly<Record<string, Route>> {
  const { path } = collection;
  return {
    [`POST /${path}/:name/backup`]: {
      action: actions.backup,
      object: path,
      run: ({ instance, parameter }) => {
        const document = requireObject(on(instance), parameter("name"));
        return { json: { value: toBase64Url(sealBackup(parts, { path, document })) } };
      },
    },
    [`POST /${path}/restore`]: {
      action: actions.restore,
      object: null,
      run: async ({ instance, body }) => {
        const { value } = parseBody(z.strictObject({ value: z.string() }), await body());
        const opened = openBackup(parts, { path, bytes: decodeBase64Url(value, "value") });
        const document = collection.kind.schema.parse(opened);
        if (joinable(on(instance), document.name) !== null)
          throw new KeyVaultRefusal(409, "Conflict", {
            message: `${collection.noun} ${document.name} already exists in the vault.`,
          });
        keep(on(instance), document);
        return { json: show(instance, document) };
      },
    },
  };
}

function paged(list: (call: Call) => readonly Readonly<Record<string, unknown>>[]) {
  return (call: Call) => ({ json: pageOf(list(call), call.url) });
}

/** The current version of an object. */
export function current<V extends Version>(document: Versioned<V>): V {
  const version = document.versions.at(-1);
  if (version === undefined) throw new RangeError("an object of the double has no version");
  return version;
}

/** An entry of a list of what has an `id` (secrets, certificates) or a `kid`. */
export function itemOf(
  instance: Instance,
  entry: {
    readonly member: "id" | "kid";
    readonly id: string;
    readonly version: Version;
    readonly attributes?: Readonly<Record<string, unknown>>;
  },
) {
  const { member, id, version, attributes = {} } = entry;
  return {
    [member]: id,
    attributes: { ...attributesOf(instance, version), ...attributes },
    tags: version.tags,
  };
}

/** A blob that this twin alone opens, as one of Azure's is opened by its own subscription alone. */
function sealBackup(
  parts: Parts,
  backup: { readonly path: string; readonly document: unknown },
): Uint8Array {
  const iv = parts.base.random(12);
  const cipher = createCipheriv("aes-256-gcm", backupKey(parts), iv);
  cipher.setAAD(utf8(backup.path));
  const body = utf8(JSON.stringify(backup.document));
  return concatBytes(iv, cipher.update(body), cipher.final(), cipher.getAuthTag());
}

function openBackup(
  parts: Parts,
  backup: { readonly path: string; readonly bytes: Uint8Array },
): unknown {
  const { bytes } = backup;
  try {
    const decipher = createDecipheriv("aes-256-gcm", backupKey(parts), bytes.subarray(0, 12), {
      authTagLength: 16,
    });
    decipher.setAAD(utf8(backup.path));
    decipher.setAuthTag(bytes.subarray(-16));
    const body = concatBytes(decipher.update(bytes.subarray(12, -16)), decipher.final());
    return JSON.parse(fromUtf8(body));
  } catch {
    throw badParameter("The backup blob is invalid or cannot be restored to this vault.");
  }
}

function backupKey({ base }: Parts): Uint8Array {
  const { state } = base;
  const known = state.get(BACKUP_KEYS, "backup");
  const key = known?.key ?? toBase64Url(base.random(32));
  if (known === null) state.put(BACKUP_KEYS, "backup", { key });
  return decodeBase64Url(key, "key");
}
