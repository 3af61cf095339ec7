import { PpmlError, Secret } from "../base/index.ts";
import { readPrivateFile } from "../key/private-file.ts";
import type { AzureAccess, Store } from "../store/index.ts";
import { isAbfsUri, openStore, parseAbfsUri } from "../store/index.ts";
import type { Project } from "./config/load.ts";
import type { CliContext } from "./context.ts";

/** base64 of 64 bytes, with room for a line's end. */
const MAX_KEY_FILE_BYTES = 1024;
const KEY = /^[A-Za-z0-9+/]{86}==\s*$/;
const SECRET_URL =
  /^(https:\/\/[a-z0-9-]{3,24}\.vault\.azure\.net)\/secrets\/([A-Za-z0-9-]{1,127})$/;

/** A project's stores, and whoever may ask those that are data lakes. */
export type ProjectStores = {
  /** Opens a store of ppml.yaml, as `project.resolve` names it. */
  readonly open: (uri: string) => Promise<Store>;
  /** Who asks the data lake of an account. */
  readonly accessOf: (account: string) => Promise<AzureAccess>;
};

/**
 * The stores of a project, or of nobody's: then a data lake is asked directly, by the login that is
 * there. Nothing is loaded before a data lake is opened.
 */
export function projectStores(
  project: Project | null,
  warn: (text: string) => void,
): ProjectStores {
  const known = new Map<string, Promise<AzureAccess>>();
  const accessOf: ProjectStores["accessOf"] = (account) => {
    const found = known.get(account) ?? connect({ project, account, warn });
    known.set(account, found);
    return found;
  };
  return {
    accessOf,
    open: (uri) =>
      openStore(uri, isAbfsUri(uri) ? { azure: () => accessOf(parseAbfsUri(uri).account) } : {}),
  };
}

/** Warns on stderr. */
export function warner(context: CliContext): (text: string) => void {
  return (text) => context.talk(context.talkStyle.warn(text));
}

/** How the project says that Azure is reached. */
export function transportOf(project: Project | null): "direct" | "environment" {
  const { dataLake, azure } = project?.config ?? {};
  return dataLake?.transport ?? azure?.transport ?? "direct";
}

/** Whether a project has a store in a data lake, so that what opens it belongs to its image. */
export function usesDataLake(project: Project): boolean {
  return Object.values(project.config.datasets).some(({ store }) => isAbfsUri(store));
}

async function connect(of: {
  readonly project: Project | null;
  readonly account: string;
  readonly warn: (text: string) => void;
}): Promise<AzureAccess> {
  const { project, account } = of;
  const { connectAzure } = await import("../azure/index.ts");
  const tenant = project?.config.azure?.tenant;
  const connection = connectAzure({
    transport: transportOf(project),
    ...(tenant === undefined ? {} : { tenantId: tenant }),
  });
  const place = project?.config.dataLake?.sharedKeys?.[account];
  if (project === null || place === undefined) return connection;
  of.warn(
    `storage account ${account} is asked with its key: it may do everything there, names nobody in the account's logs and does not expire. Better: a role for an identity, and allowSharedKeyAccess false.`,
  );
  const sharedKey = SECRET_URL.test(place)
    ? await fetchKey(place, connection)
    : await readKey(project.resolve(place), account);
  return { ...connection, sharedKey };
}

async function readKey(path: string, account: string): Promise<Secret> {
  const remedy = `write the key alone into it, as ${account}'s access keys show it, and run chmod 600 '${path}'`;
  const bytes = await readPrivateFile({ path, maxBytes: MAX_KEY_FILE_BYTES }).catch(
    (cause: unknown) => {
      if (!(cause instanceof PpmlError)) throw cause;
      throw new PpmlError(cause.code, cause.message, { cause, detail: { path, remedy } });
    },
  );
  try {
    return parseKey(Buffer.from(bytes).toString("latin1"), path, remedy);
  } finally {
    bytes.fill(0);
  }
}

async function fetchKey(
  url: string,
  connection: AzureAccess & { readonly clientOptions: object },
): Promise<Secret> {
  const [, vault = "", name = ""] = SECRET_URL.exec(url) ?? [];
  const { SecretClient } = await import("@azure/keyvault-secrets");
  const { toAzureFailure } = await import("../azure/index.ts");
  const client = new SecretClient(vault, connection.credential, connection.clientOptions);
  const secret = await client.getSecret(name).catch((error: unknown) => {
    throw toAzureFailure(error, { what: `read the secret ${url}` });
  });
  return parseKey(secret.value ?? "", url, "put the account's key into the secret");
}

function parseKey(text: string, place: string, remedy: string): Secret {
  if (!KEY.test(text))
    throw new PpmlError("key.vault_invalid", `${place} holds no key of a storage account`, {
      detail: { place, remedy },
    });
  return Secret.take(new Uint8Array(Buffer.from(text.trim(), "base64")));
}
