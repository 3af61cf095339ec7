import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Secret } from "../../src/base/index.ts";
import type { Manifest } from "../../src/format/manifest.ts";
import type { LocalKeys } from "../../src/launch/worker-services.ts";
import { openLocalStore } from "../../src/store/index.ts";
import type { StoreSource } from "../../src/store/index.ts";
import {
  fileInput,
  makeTestKek,
  releaseKeys,
  sealTestDataset,
} from "../../test/compute/fixture.ts";
import { pythonEnvironment } from "../../tools/python-environment.ts";
import { measuredCommand } from "../measure.ts";

const TABLES = [
  "customer",
  "lineitem",
  "nation",
  "orders",
  "part",
  "partsupp",
  "region",
  "supplier",
] as const;
type TableName = (typeof TABLES)[number];

/** A table of TPC-H on both sides: the same pages, plain and sealed. */
export type TpchTable = {
  readonly name: TableName;
  readonly plainPath: string;
  readonly manifest: Manifest;
  /** The sealed file, open. */
  readonly source: StoreSource;
};

/** The eight tables, and the local keys that a release would give for them. */
export type TpchTables = {
  readonly tables: readonly TpchTable[];
  readonly localKeys: LocalKeys;
};

/** The program that makes TPC-H's tables; installed where it is missing. */
export function tpchGenerator(): string {
  const programs = pythonEnvironment({
    name: "tpch-venv",
    requirements: join(import.meta.dirname, "requirements.txt"),
    probe: "import importlib.metadata; importlib.metadata.version('tpchgen-cli')",
  });
  return join(programs, "tpchgen-cli");
}

/**
 * Generates the tables at a scale factor as Parquet (Snappy, the generator's own row groups) and
 * seals each of them: the sealed file holds the plain file's pages one by one.
 */
export async function makeTpchTables(
  folder: string,
  options: {
    readonly scale: number;
    readonly generator: string;
    readonly stack: AsyncDisposableStack;
  },
): Promise<TpchTables> {
  const plain = join(folder, "plain");
  mkdirSync(plain);
  const scale = ["-s", String(options.scale)];
  measuredCommand([options.generator, "parquet", "--quiet", ...scale, `--output-dir=${plain}`]);
  const kek = makeTestKek("bench/tables");
  const tables: TpchTable[] = [];
  const localKeys = new Map<string, { readonly kekId: string; readonly key: Secret }>();
  for (const [index, name] of TABLES.entries()) {
    const plainPath = join(plain, `${name}.parquet`);
    const sealed = join(folder, "sealed", name);
    const { manifest } = await sealTestDataset({
      folder: sealed,
      name,
      datasetId: index.toString(16).padStart(32, "0"),
      groups: [{ name: "all", kek, columns: null }],
      inputs: [fileInput(plainPath, `${name}.parquet`)],
    });
    const source = await openLocalStore(sealed).source(`v1/${name}.parquet`);
    tables.push({ name, plainPath, manifest, source: options.stack.use(source) });
    for (const [id, key] of releaseKeys(manifest, [kek])) localKeys.set(id, key);
  }
  return { tables, localKeys };
}

/** The tables that queries name: a job's inputs. */
export function tablesOf(
  queries: readonly { readonly sql: string }[],
  all: readonly TpchTable[],
): readonly TpchTable[] {
  const words = new Set(queries.flatMap(({ sql }) => sql.match(/\w+/g) ?? []));
  return all.filter(({ name }) => words.has(name));
}
