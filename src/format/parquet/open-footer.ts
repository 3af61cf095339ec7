import type { KeyObject } from "node:crypto";
import { concatBytes, equalBytes } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import type { Secret } from "../../base/secret.ts";
import {
  type ChunkEntry,
  checkTotal,
  type FileMetadata,
  parseChunkMeta,
  parseFileMetadata,
} from "./file-metadata.ts";
import {
  MODULE,
  moduleAad,
  type ModuleAad,
  notAuthentic,
  openModule,
  verifyFooterSignature,
} from "./module-cipher.ts";
import { type Find, KeyCache } from "./key-cache.ts";
import type { SealedFooter } from "./sealed-footer.ts";
import type { KeyFor, KeyPlace, TableChunk, TableColumn, TableFooter } from "./table-footer.ts";
import { THRIFT, type ThriftField } from "./thrift.ts";

/** What `openFooter` needs besides the footer. */
export type OpenFooterOptions = {
  readonly keyFor: KeyFor;
  /** For files whose AAD prefix is not stored; where it is stored, both must be equal. */
  readonly aadPrefix?: Uint8Array;
};

/** What `askForFooter` needs besides the footer. */
export type AskForFooterOptions = Omit<OpenFooterOptions, "keyFor"> & {
  /** As `KeyFor`, of somebody who has to be asked; the Secrets that it gives are disposed of. */
  readonly keyFor: (...of: Parameters<KeyFor>) => Promise<Secret | null>;
};

type Opened = {
  readonly sealed: SealedFooter;
  readonly aad: ModuleAad;
  readonly footerKey: KeyObject;
  readonly metadata: FileMetadata;
};

/**
 * Opens (or, for a plaintext footer, verifies) a footer and the column metadata that keys open.
 * @throws open.no_key (footer key or AAD prefix missing), open.not_authentic, format.invalid,
 * format.too_large, format.unsupported
 * @see docs/format-table.md section "Reading"
 */
export function openFooter(sealed: SealedFooter, options: OpenFooterOptions): TableFooter {
  const { keyFor, aadPrefix } = options;
  const keys = new KeyCache();
  const find: Find = (keyMetadata, place) => {
    if (!keys.has(keyMetadata, place)) keys.put(keyMetadata, place, keyFor(keyMetadata, place));
    return keys.get(keyMetadata, place);
  };
  const opened = openMetadata(sealed, { aadPrefix, footerKey: find(sealed.keyMetadata, "footer") });
  return openChunks(opened, find);
}

/**
 * As `openFooter`, with keys that have to be asked for: the footer's first, then those of the columns
 * that it names.
 * @throws what `openFooter` throws, and what `keyFor` does
 */
export async function askForFooter(
  sealed: SealedFooter,
  { keyFor, aadPrefix }: AskForFooterOptions,
): Promise<TableFooter> {
  const keys = new KeyCache();
  const ask = async (keyMetadata: Uint8Array | null, place: KeyPlace): Promise<void> => {
    if (keys.has(keyMetadata, place)) return;
    using secret = await keyFor(keyMetadata, place);
    keys.put(keyMetadata, place, secret);
  };
  const find: Find = (keyMetadata, place) => keys.get(keyMetadata, place);
  await ask(sealed.keyMetadata, "footer");
  const opened = openMetadata(sealed, { aadPrefix, footerKey: find(sealed.keyMetadata, "footer") });
  for (const { chunks } of opened.metadata.rowGroups)
    for (const { leaf, protection } of chunks)
      if (protection.kind === "column-key")
        await ask(protection.keyMetadata, { column: leaf.dotted });
  return openChunks(opened, find);
}

function openMetadata(
  sealed: SealedFooter,
  using: { readonly aadPrefix: Uint8Array | undefined; readonly footerKey: KeyObject | null },
): Opened {
  const { footerKey } = using;
  const aad = moduleAad(concatBytes(prefixOf(sealed, using.aadPrefix), sealed.crypto.fileUnique));
  if (footerKey === null)
    throw new PpmlError("open.no_key", "no key at hand opens the table's footer: ask for its KEK");
  const metadata = parseFileMetadata(openRest({ sealed, aad, footerKey }));
  return { sealed, aad, footerKey, metadata };
}

function openChunks(opened: Opened, find: Find): TableFooter {
  const { sealed, metadata, aad } = opened;
  const rowGroups = metadata.rowGroups.map((entry) => ({
    entry,
    rows: entry.rows,
    chunks: entry.chunks.map((chunk) =>
      openChunk(opened, { chunk, find, rowGroup: entry.ordinal }),
    ),
  }));
  checkTotal(
    rowGroups.flatMap(({ chunks }) => chunks),
    sealed.offset,
  );
  const columns = columnsOf(metadata, rowGroups);
  return { sealed, metadata, rows: metadata.rows, columns, rowGroups, aad };
}

function prefixOf(sealed: SealedFooter, supplied: Uint8Array | undefined): Uint8Array {
  const { aadPrefix, aadPrefixNeeded } = sealed.crypto;
  if (aadPrefix === null) {
    if (supplied === undefined && aadPrefixNeeded)
      throw new PpmlError(
        "open.no_key",
        "the table's AAD prefix is not stored in it: give the prefix that its writer used",
      );
    return supplied ?? new Uint8Array(0);
  }
  if (supplied !== undefined && !equalBytes(supplied, aadPrefix)) throw notAuthentic();
  return aadPrefix;
}

function openRest({ sealed, aad, footerKey }: Omit<Opened, "metadata">): Uint8Array {
  const rest = sealed.raw.subarray(sealed.headLength);
  if (sealed.kind === "encrypted-footer") return openModule(footerKey, rest, aad("footer"));
  const footer = sealed.raw.subarray(0, sealed.headLength);
  verifyFooterSignature(footerKey, { footer, signature: rest }, aad("footer"));
  return footer;
}

function openChunk(
  opened: Opened,
  at: { readonly chunk: ChunkEntry; readonly find: Find; readonly rowGroup: number },
): TableChunk {
  const { chunk: entry, find, rowGroup } = at;
  const { leaf, protection, encryptedMeta } = entry;
  const key = chunkKey(entry, { footerKey: opened.footerKey, find });
  const locked = key === null && protection.kind !== "none";
  if (locked) return { entry, meta: null, key: null };
  const where = { leaf, dataEnd: opened.sealed.offset };
  if (encryptedMeta === null || key === null) {
    // A column that has a key of its own and its metadata in the clear is no writer's work.
    if (entry.meta === null) throw invalid(`column ${leaf.dotted} has no metadata to read`);
    return { entry, meta: parseChunkMeta(entry.meta, where), key };
  }
  const place = { type: MODULE.columnMetadata, rowGroup, column: leaf.index };
  const bytes = openModule(key, encryptedMeta, opened.aad(place));
  return { entry, meta: parseChunkMeta(wholeStruct(bytes), where), key };
}

function chunkKey(
  { leaf, protection }: ChunkEntry,
  keys: { readonly footerKey: KeyObject; readonly find: Find },
): KeyObject | null {
  if (protection.kind === "none") return null;
  if (protection.kind === "footer-key") return keys.footerKey;
  return keys.find(protection.keyMetadata, { column: leaf.dotted });
}

function wholeStruct(buffer: Uint8Array): ThriftField {
  return { type: THRIFT.struct, buffer, start: 0, end: buffer.byteLength };
}

function columnsOf(
  metadata: FileMetadata,
  rowGroups: TableFooter["rowGroups"],
): readonly TableColumn[] {
  return metadata.schema.leaves.map((leaf) => {
    const protection = rowGroups[0]?.chunks[leaf.index]?.entry.protection;
    return {
      leaf,
      protection: protection?.kind ?? "footer-key",
      keyMetadata: protection?.kind === "column-key" ? protection.keyMetadata : null,
      accessible: rowGroups.every(({ chunks }) => chunks[leaf.index]?.meta !== null),
    };
  });
}

function invalid(what: string): PpmlError {
  return new PpmlError("format.invalid", `the Parquet footer is not valid: ${what}`);
}
