import { fileURLToPath } from "node:url";
import { PpmlError } from "../base/index.ts";
import type { AzureAccess } from "./azure/access.ts";
import { isAbfsUri } from "./azure/uri.ts";
import { openLocalStore } from "./local.ts";
import type { Store } from "./store.ts";

/** What stores need that are not on this machine. */
export type StoreAccess = {
  /** Who asks the data lake; called only for an abfs: or abfss: URI. */
  readonly azure?: () => Promise<AzureAccess>;
};

/**
 * Opens the store that a URI names: a `file:` URI or a plain path is a local folder, an `abfs[s]:` URI a
 * folder of an Azure Data Lake.
 * @throws store.name for another scheme, or a URI that is not right; what `access.azure` throws
 * @see docs/stores.md
 */
export async function openStore(uri: string, access: StoreAccess = {}): Promise<Store> {
  // One letter before the colon is a Windows drive.
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(uri)?.[1]?.toLowerCase();
  if (scheme === undefined && uri !== "") return openLocalStore(uri);
  if (scheme === "file") return openLocalStore(localPath(uri));
  if (isAbfsUri(uri)) return openAzure(uri, access);
  throw new PpmlError(
    "store.name",
    `no store is known for ${JSON.stringify(uri)}: use a folder's path, a file: or an abfss: URI`,
  );
}

async function openAzure(uri: string, { azure }: StoreAccess): Promise<Store> {
  if (azure === undefined)
    throw new PpmlError(
      "store.name",
      `${JSON.stringify(uri)} is a data lake, and nobody is named who may ask it: give a connection`,
    );
  // Here, so that who has local folders only loads no SDK.
  const { openAzureStore } = await import("./azure/azure-store.ts");
  return openAzureStore(uri, await azure());
}

function localPath(uri: string): string {
  try {
    return fileURLToPath(uri);
  } catch (cause) {
    throw new PpmlError("store.name", `${JSON.stringify(uri)} is not a local file: URI`, { cause });
  }
}
