/**
 * Seals and opens Parquet tables in memory, beside the cipher alone over the same modules. Speeds are
 * plain bytes a second of CPU time, medians of rounds that alternate.
 */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { ByteSource } from "../src/base/byte-source.ts";
import { utf8 } from "../src/base/bytes.ts";
import { Secret } from "../src/base/secret.ts";
import {
  decryptTable,
  openFooter,
  readSealedFooter,
  sealParquet,
  type TableFooter,
} from "../src/format/parquet/index.ts";
import { freeChunk } from "../src/store/index.ts";
import { alternate, measured } from "./measure.ts";
import { single } from "./table.ts";
import type { Figure } from "./table.ts";

// Like TPC-H's lineitem in types, widths and compressibility.
const LINES = `
  select i // 4 as l_orderkey, (hash(i) % 200000)::bigint as l_partkey,
    (hash(i + 1) % 10000)::bigint as l_suppkey, i % 7 as l_linenumber,
    (hash(i + 2) % 50)::decimal(15, 2) as l_quantity,
    (hash(i + 3) % 10000000 / 100)::decimal(15, 2) as l_extendedprice,
    (hash(i + 4) % 11 / 100)::decimal(15, 2) as l_discount,
    chr((65 + hash(i + 5) % 3)::integer) as l_returnflag,
    date '1992-01-01' + (hash(i + 6) % 2500)::integer as l_shipdate,
    ['AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL'][(hash(i + 7) % 5)::integer + 1] as l_shipmode,
    'comment ' || hash(i + 8) || ' ' || hash(i + 9) as l_comment
  from range(ROWS) t(i)`;
const KEY = new Uint8Array(32).fill(7);

type Table = { readonly label: string; readonly plain: Uint8Array };
type Sealed = { readonly bytes: Uint8Array; readonly footer: TableFooter };

/** Measures sealing and opening of each table. */
export async function benchParquet(options: {
  readonly quick: boolean;
}): Promise<readonly Figure[]> {
  const tables = await makeTables(options.quick ? 500_000 : 3_000_000);
  const figures: Figure[] = [];
  for (const table of tables) figures.push(...(await measure(table, options.quick ? 3 : 9)));
  return figures;
}

async function makeTables(rows: number): Promise<readonly Table[]> {
  const folder = mkdtempSync(join(tmpdir(), "ppml-bench-"));
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const flights = "../node_modules/vega-datasets/data/flights-3m.parquet";
  const tables: Table[] = [
    { label: "flights-3m", plain: readFileSync(join(import.meta.dirname, flights)) },
  ];
  for (const codec of ["zstd", "snappy", "uncompressed"]) {
    const file = join(folder, codec);
    const query = LINES.replace("ROWS", String(rows));
    await connection.run(`copy (${query}) to '${file}' (format parquet, compression ${codec})`);
    tables.push({ label: `lines ${codec}`, plain: readFileSync(file) });
  }
  connection.closeSync();
  rmSync(folder, { recursive: true });
  return tables;
}

async function measure({ label, plain }: Table, rounds: number): Promise<readonly Figure[]> {
  const sealed = await sealOnce(plain);
  const modules = moduleLengths(sealed);
  // The clock of CPU time is coarse: small tables are taken several times in a row.
  const repeats = Math.ceil(100e6 / plain.byteLength);
  const side = (work: () => unknown) => () =>
    measured(async () => {
      for (let time = 0; time < repeats; time += 1) await work();
    });
  const medians = await alternate(
    {
      seal: side(() => seal(plain)),
      sealCipher: side(() => {
        cipherAlone(plain, modules, "encrypt");
      }),
      open: side(() => open(sealed)),
      openCipher: side(() => {
        cipherAlone(plain, modules, "decrypt");
      }),
    },
    { rounds, warmUps: 2 },
  );
  const speed = (cpuMs: number): number => (plain.byteLength * repeats) / cpuMs / 1e6;
  const size = `${(plain.byteLength / 1e6).toFixed(0)} MB`;
  return (["seal", "open"] as const).map((name) =>
    single({
      what: `${name} Parquet, ${label}, ${size}, a core`,
      ours: speed(medians[name].cpuMs),
      other: { name: "cipher alone", value: speed(medians[`${name}Cipher`].cpuMs) },
      unit: "GB/s",
      goal: { atLeast: 1 },
    }),
  );
}

function sealingOf(plain: Uint8Array): ReturnType<typeof sealParquet> {
  const footerKey = { dek: Secret.copy(KEY), keyMetadata: utf8("bench") };
  return sealParquet({ source: sourceOf(plain), footerKey, columnKeys: [] });
}

async function seal(plain: Uint8Array): Promise<void> {
  for await (const chunk of sealingOf(plain)) freeChunk(chunk); // as a store does after writing it
}

async function sealOnce(plain: Uint8Array): Promise<Sealed> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of sealingOf(plain)) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const sealed = await readSealedFooter(sourceOf(bytes));
  if (sealed.kind === "plaintext") throw new TypeError("the table was not sealed");
  return { bytes, footer: openFooter(sealed, { keyFor: () => Secret.copy(KEY) }) };
}

async function open({ bytes, footer }: Sealed): Promise<void> {
  let length = 0;
  await decryptTable({
    source: sourceOf(bytes),
    footer,
    columns: "all",
    unauthenticated: "refuse",
    write: (chunk) => {
      length += chunk.byteLength;
    },
  });
  if (length === 0) throw new RangeError("nothing was opened");
}

/** Plaintext lengths of all page modules, headers and bodies. */
function moduleLengths({ bytes, footer }: Sealed): readonly number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const lengths: number[] = [];
  for (const { chunks } of footer.rowGroups)
    for (const { meta } of chunks) {
      const { offset, length } = meta?.pages ?? { offset: 0, length: 0 };
      for (let at = offset; at < offset + length;) {
        const module = view.getUint32(at, true);
        lengths.push(module - 28);
        at += 4 + module;
      }
    }
  return lengths;
}

/** The least that any implementation on node:crypto does: one cipher a module, one copy. */
function cipherAlone(
  plain: Uint8Array,
  modules: readonly number[],
  direction: "encrypt" | "decrypt",
): void {
  const key = createSecretKey(KEY);
  const target = new Uint8Array(Math.max(...modules));
  const aad = new Uint8Array(23);
  const nonce = randomBytes(12);
  const tag = randomBytes(16);
  let at = 0;
  for (const length of modules) {
    const from = plain.subarray(at, at + length);
    at = at + length > plain.byteLength ? 0 : at + length;
    if (direction === "encrypt") {
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(aad);
      const out = cipher.update(from);
      target.set(out);
      freeChunk(out);
      cipher.final();
      cipher.getAuthTag();
    } else {
      const decipher = createDecipheriv("aes-256-gcm", key, nonce).setAAD(aad);
      const out = decipher.setAuthTag(tag).update(from);
      target.set(out);
      freeChunk(out);
    }
  }
}

function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.byteLength,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
  };
}
