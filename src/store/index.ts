export { openLocalSource } from "./local-source.ts";
export { openLocalStore } from "./local.ts";
export { parseStoreName } from "./name.ts";
export { openStore } from "./open-store.ts";
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
