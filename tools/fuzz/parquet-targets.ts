import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PpmlError, utf8 } from "../../src/base/index.ts";
import { encodeFileCrypto, parseTableCrypto } from "../../src/format/parquet/file-crypto.ts";
import { parseFileMetadata } from "../../src/format/parquet/file-metadata.ts";
import {
  encodeKeyMaterial,
  openFooter,
  parseKeyMaterial,
  readSealedFooter,
  sealParquet,
  toKeyMaterial,
} from "../../src/format/parquet/index.ts";
import { parseBloomHeader } from "../../src/format/parquet/page-index.ts";
import { parsePageHeader } from "../../src/format/parquet/page-header.ts";
import { parseWholeStruct, structField } from "../../src/format/parquet/thrift.ts";
import { encodeStruct, i32, struct } from "../../src/format/parquet/thrift-writer.ts";
import { startDuck } from "../../test/format/parquet/duck.ts";
import {
  decryptBytes,
  keyOf,
  keysOf,
  sealBytes,
  sourceOf,
} from "../../test/format/parquet/tables.ts";
import { makeLocalKey } from "../../test/seal/sealed-sample.ts";
import { type FuzzTarget, parses } from "./target.ts";

const GROUPS = { secret: ["b"] };
const VECTORS = join(import.meta.dirname, "../../test/vectors/parquet");

async function plainTables(): Promise<readonly Uint8Array[]> {
  await using duck = await startDuck();
  return [
    await duck.parquet("select 1 as a, 'x' as b"),
    await duck.parquet(
      "select i as a, 'n' || (i % 7) as b, [i, i + 1] as l from range(300) t(i)",
      ", row_group_size 100, compression uncompressed",
    ),
    await duck.parquet("select i as a, {x: i, y: 'q'} as b from range(40) t(i)"),
    new Uint8Array(readFileSync(join(VECTORS, "plain-index.parquet"))),
    new Uint8Array(readFileSync(join(VECTORS, "plain-bloom-v2.parquet"))),
  ];
}

async function sealedTables(): Promise<readonly Uint8Array[]> {
  const [small = new Uint8Array(0), middle = new Uint8Array(0)] = await plainTables();
  return Promise.all([small, middle].map(async (plain) => (await sealBytes(plain, GROUPS)).bytes));
}

/** FileMetaData and page headers of plain tables: thrift as it comes. */
async function thriftSeeds(): Promise<readonly Uint8Array[]> {
  const tables = await plainTables();
  // After the magic bytes comes the first page with its header.
  const pages = tables.map((table) => table.slice(4, 60));
  const footers = await Promise.all(
    tables.map(async (table) => (await readSealedFooter(sourceOf(table))).raw.slice()),
  );
  return [...footers, ...pages];
}

/** Parquet and its encryption: thrift, page headers, footers, key material, whole tables. */
export const PARQUET_TARGETS: readonly FuzzTarget[] = [
  parses("parquet-thrift", thriftSeeds, (input) => parseWholeStruct(input).size),
  parses("parquet-file-metadata", thriftSeeds, (input) => {
    const { rowGroups } = parseFileMetadata(input);
    return rowGroups.length;
  }),
  parses(
    "parquet-crypto",
    () => [encodeFileCrypto({ fileUnique: new Uint8Array(16), keyMetadata: utf8("key") })],
    (input) => parseTableCrypto(structField(parseWholeStruct(input), 1)),
  ),
  // The header as page reading meets it: at the start of a window of a chunk.
  parses("parquet-page-header", thriftSeeds, (input) => {
    return parsePageHeader(input, { start: 0, end: input.byteLength }).end;
  }),
  parses(
    "parquet-bloom-header",
    () => {
      const only = struct(new Map([[1, struct(new Map())]]));
      const fields = [2, 3, 4].map((id) => [id, only] as const);
      return [encodeStruct(new Map([[1, i32(64)], ...fields]))];
    },
    parseBloomHeader,
  ),
  parses(
    "parquet-key-material",
    () => {
      const { wrapped } = makeLocalKey();
      const material = { localKey: wrapped, wrappedDek: new Uint8Array(60).fill(5) };
      return [true, false].map((isFooterKey) =>
        encodeKeyMaterial(toKeyMaterial({ ...material, isFooterKey })),
      );
    },
    parseKeyMaterial,
  ),
  parses("parquet-footer", sealedTables, async (input) => {
    const footer = await readSealedFooter(sourceOf(input));
    if (footer.kind === "plaintext") return null;
    return openFooter(footer, { keyFor: keysOf() }).rowGroups.length;
  }),
  // Plaintext from outside, on its way into a sealed table: pages and indexes are read and sealed.
  parses("parquet-sealing", plainTables, async (input) => {
    let bytes = 0;
    const sealing = sealParquet({
      source: sourceOf(input),
      footerKey: keyOf("footer"),
      columnKeys: [],
    });
    for await (const chunk of sealing) bytes += chunk.byteLength;
    return bytes;
  }),
  {
    name: "sealed-table",
    prepare: async () => ({ seeds: await sealedTables(), run: openAll, promise: "authentic" }),
  },
];

/** Opens every column of a sealed table: what a reader takes out of it. */
async function openAll(input: Uint8Array): Promise<Uint8Array> {
  const footer = await readSealedFooter(sourceOf(input));
  if (footer.kind !== "encrypted-footer")
    throw new PpmlError("open.plaintext", `a ${footer.kind} is not what was sealed`);
  return decryptBytes(input);
}
