import { join } from "node:path";
import { z } from "zod";
import { toBase64 } from "../../base/index.ts";
import type { ResourceChange, TwinBase, TwinService } from "../service.ts";
import { defineKind } from "../state.ts";
import type { TwinState } from "../state.ts";
import { AZURITE_REMEDY, isAzuriteInstalled } from "./azurite.ts";
import { createStorageAccess } from "./access.ts";
import { openStorageAccounts } from "./accounts.ts";
import type { ContainerOf } from "./accounts.ts";
import { createBlobService } from "./blob-service.ts";
import type { AdlsServices } from "./blob-service.ts";
import { createDfsService } from "./dfs-service.ts";
import { openPathTable } from "./path-table.ts";
import type { PathRows } from "./path-table.ts";

/** Directories, owners and ACLs, by account/filesystem/path. */
const PATHS = defineKind(
  "adls-path",
  z.strictObject({
    isDirectory: z.boolean(),
    owner: z.string(),
    group: z.string(),
    acl: z.string(),
  }),
);

/** The two keys of a storage account, by its ARM id in small letters. */
const KEYS = defineKind("storage-account-keys", z.strictObject({ keys: z.array(z.base64()) }));

/** What ARM did with filesystems while there was no Azurite, by ACCOUNT/FILESYSTEM: done at its start. */
const OWED = defineKind(
  "adls-filesystem-owed",
  z.strictObject({ action: z.enum(["put", "delete"]) }),
);

const CONTAINER_TYPE = "microsoft.storage/storageaccounts/blobservices/containers";
const KEY_BYTES = 64;
const shared = new WeakMap<TwinBase, AdlsServices>();

/**
 * The blob endpoint as a service of the twin: Azurite keeps the blobs, in the twin's folder. Where it is
 * not installed every call is refused with how to install it, and after that the next call is served.
 */
export function blobService(base: TwinBase): TwinService {
  if (!isAzuriteInstalled())
    base.log(
      `storage does not answer: Azurite, which keeps the blobs, is missing: ${AZURITE_REMEDY}`,
    );
  const services = servicesOf(base);
  const service = createBlobService(services);
  return {
    ...service,
    onResource: (change) => followArm({ state: base.state, services }, change),
    close: async () => {
      await service.close?.();
      await services.accounts[Symbol.asyncDispose]();
    },
  };
}

/** The Data Lake endpoint as a service of the twin: ours, over the same blobs. */
export function dfsService(base: TwinBase): TwinService {
  return createDfsService(servicesOf(base));
}

/**
 * The keys of a storage account, as ARM's `listKeys` gives them: made when they are first asked for.
 * They work only while the account's `allowSharedKeyAccess` is true.
 */
export function storageAccountKeys(base: TwinBase, accountId: string): readonly string[] {
  return keysIn(base.state, accountId, base.random);
}

function servicesOf(base: TwinBase): AdlsServices {
  const known = shared.get(base);
  if (known !== undefined) return known;
  const { authority, state, log, random } = base;
  const paths = openPathTable(rowsOf(state));
  const folder = join(base.folder, "azurite");
  const services = {
    accounts: openStorageAccounts({
      authority,
      folder,
      onStart: (account) => payOwed(state, account),
    }),
    access: createStorageAccess({
      authority,
      paths,
      keysOf: (accountId) =>
        keysIn(state, accountId, random).map((key) => new Uint8Array(Buffer.from(key, "base64"))),
    }),
    paths,
    log,
  };
  shared.set(base, services);
  return services;
}

function rowsOf(state: TwinState): PathRows {
  return {
    get: (id) => state.get(PATHS, id),
    put: (id, row) => state.put(PATHS, id, row),
    remove: (id) => void state.remove(PATHS, id),
    list: (prefix) =>
      state.list(PATHS, { prefix }).map(({ id, document }) => ({ id, row: document })),
  };
}

function keysIn(
  state: TwinState,
  accountId: string,
  random: (length: number) => Uint8Array,
): readonly string[] {
  const id = accountId.toLowerCase();
  const known = state.get(KEYS, id);
  if (known !== null) return known.keys;
  const keys = [toBase64(random(KEY_BYTES)), toBase64(random(KEY_BYTES))];
  state.put(KEYS, id, { keys });
  return keys;
}

/**
 * A filesystem that a deployment makes or takes away is one of the account at once; without Azurite, as
 * soon as there is one: a deployment does not fail for what its caller may do without.
 */
async function followArm(
  { state, services }: { readonly state: TwinState; readonly services: AdlsServices },
  change: ResourceChange,
): Promise<null> {
  const { action } = change;
  if (change.type.toLowerCase() !== CONTAINER_TYPE) return null;
  if (action !== "put" && action !== "delete") return null;
  const [accountName = "", , filesystem = ""] = change.name.split("/");
  if (action === "delete") services.paths.drop({ account: accountName, filesystem });
  if (!isAzuriteInstalled()) {
    state.put(OWED, `${accountName}/${filesystem}`, { action });
    return null;
  }
  const account = await services.accounts.open(accountName);
  await doWithFilesystem(account.container(filesystem), action);
  return null;
}

async function payOwed(
  state: TwinState,
  { name, container }: { readonly name: string; readonly container: ContainerOf },
): Promise<void> {
  for (const { id, document } of state.list(OWED, { prefix: `${name}/` })) {
    await doWithFilesystem(container(id.slice(name.length + 1)), document.action);
    state.remove(OWED, id);
  }
}

async function doWithFilesystem(
  container: ReturnType<ContainerOf>,
  action: "put" | "delete",
): Promise<void> {
  if (action === "put") await container.createIfNotExists();
  else await container.deleteIfExists();
}
