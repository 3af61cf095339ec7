import { fileURLToPath } from "node:url";
import { PpmlError } from "../base/index.ts";
import { openLocalStore } from "./local.ts";
import type { Store } from "./store.ts";

/**
 * Opens the store that a URI names: a `file:` URI or a plain path is a local folder.
 * @throws store.name for another scheme
 */
export async function openStore(uri: string): Promise<Store> {
  // One letter before the colon is a Windows drive.
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(uri)?.[1]?.toLowerCase();
  if (scheme === undefined && uri !== "") return openLocalStore(uri);
  if (scheme === "file") return openLocalStore(localPath(uri));
  throw new PpmlError(
    "store.name",
    `no store is known for ${JSON.stringify(uri)}: use a folder's path or a file: URI`,
  );
}

function localPath(uri: string): string {
  try {
    return fileURLToPath(uri);
  } catch (cause) {
    throw new PpmlError("store.name", `${JSON.stringify(uri)} is not a local file: URI`, { cause });
  }
}
