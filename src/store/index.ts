export type { AzureAccess } from "./azure/access.ts";
export { isAbfsUri, parseAbfsUri } from "./azure/uri.ts";
export { openLocalSource } from "./local-source.ts";
export { openLocalStore } from "./local.ts";
export { parseStoreName } from "./name.ts";
export { openStore, type StoreAccess } from "./open-store.ts";
export { type ByteRange, readAhead } from "./read-ahead.ts";
export { freeChunk } from "./recycle.ts";
export type {
  Chunks,
  PutCondition,
  PutOptions,
  ReplacePart,
  Store,
  StoredObject,
  StoreSource,
} from "./store.ts";
