import type { KeyObject } from "node:crypto";
import { concatBytes, equalBytes } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import {
  type ChunkEntry,
  checkTotal,
  type FileMetadata,
  parseChunkMeta,
  parseFileMetadata,
} from "./file-metadata.ts";
import {
  importKey,
  MODULE,
  moduleAad,
  type ModuleAad,
  notAuthentic,
  openModule,
  verifyFooterSignature,
} from "./module-cipher.ts";
import type { SealedFooter } from "./sealed-footer.ts";
import type { KeyFor, KeyPlace, TableChunk, TableColumn, TableFooter } from "./table-footer.ts";
import { THRIFT, type ThriftField } from "./thrift.ts";

/** What `openFooter` needs besides the footer. */
export type OpenFooterOptions = {
  readonly keyFor: KeyFor;
  /** For files whose AAD prefix is not stored; where it is stored, both must be equal. */
  readonly aadPrefix?: Uint8Array;
};

type Keys = (keyMetadata: Uint8Array | null, place: KeyPlace) => KeyObject | null;
type Opening = {
  readonly sealed: SealedFooter;
  readonly aad: ModuleAad;
  readonly keys: Keys;
  readonly footerKey: KeyObject;
};

/**
 * Opens (or, for a plaintext footer, verifies) a footer and the column metadata that keys open.
 * @throws open.no_key (footer key or AAD prefix missing), open.not_authentic, format.invalid,
 * format.too_large, format.unsupported
 * @see docs/format-table.md section "Reading"
 */
export function openFooter(sealed: SealedFooter, options: OpenFooterOptions): TableFooter {
  const aad = moduleAad(concatBytes(prefixOf(sealed, options.aadPrefix), sealed.crypto.fileUnique));
  const keys = keyCache(options.keyFor);
  const footerKey = keys(sealed.keyMetadata, "footer");
  if (footerKey === null)
    throw new PpmlError("open.no_key", "no key at hand opens the table's footer: ask for its KEK");
  const opening = { sealed, aad, keys, footerKey };
  const metadata = parseFileMetadata(openMetadata(opening));
  const rowGroups = metadata.rowGroups.map((entry) => ({
    entry,
    rows: entry.rows,
    chunks: entry.chunks.map((chunk) => openChunk(opening, { chunk, rowGroup: entry.ordinal })),
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

// Thousands of chunks share few keys: ask for each once.
function keyCache(keyFor: KeyFor): Keys {
  const known = new Map<string, KeyObject | null>();
  return (keyMetadata, place) => {
    const column = place === "footer" ? place : `column ${place.column}`;
    const name = keyMetadata === null ? column : `=${Buffer.from(keyMetadata).toString("latin1")}`;
    const found = known.get(name);
    if (found !== undefined) return found;
    const secret = keyFor(keyMetadata, place);
    const key = secret === null ? null : importKey(secret);
    known.set(name, key);
    return key;
  };
}

function openMetadata({ sealed, aad, footerKey }: Opening): Uint8Array {
  const rest = sealed.raw.subarray(sealed.headLength);
  if (sealed.kind === "encrypted-footer") return openModule(footerKey, rest, aad("footer"));
  const footer = sealed.raw.subarray(0, sealed.headLength);
  verifyFooterSignature(footerKey, { footer, signature: rest }, aad("footer"));
  return footer;
}

function openChunk(
  opening: Opening,
  at: { readonly chunk: ChunkEntry; readonly rowGroup: number },
): TableChunk {
  const { chunk: entry, rowGroup } = at;
  const { leaf, protection, encryptedMeta } = entry;
  const key = chunkKey(opening, entry);
  const locked = key === null && protection.kind !== "none";
  if (locked) return { entry, meta: null, key: null };
  const where = { leaf, dataEnd: opening.sealed.offset };
  if (encryptedMeta === null || key === null) {
    // A column that has a key of its own and its metadata in the clear is no writer's work.
    if (entry.meta === null) throw invalid(`column ${leaf.dotted} has no metadata to read`);
    return { entry, meta: parseChunkMeta(entry.meta, where), key };
  }
  const place = { type: MODULE.columnMetadata, rowGroup, column: leaf.index };
  const bytes = openModule(key, encryptedMeta, opening.aad(place));
  return { entry, meta: parseChunkMeta(wholeStruct(bytes), where), key };
}

function chunkKey(opening: Opening, { leaf, protection }: ChunkEntry): KeyObject | null {
  if (protection.kind === "none") return null;
  if (protection.kind === "footer-key") return opening.footerKey;
  return opening.keys(protection.keyMetadata, { column: leaf.dotted });
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
