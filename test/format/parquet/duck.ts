import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";

/** A DuckDB with a folder of its own for Parquet files; dispose it after use. */
export type Duck = AsyncDisposable & {
  /** Writes the rows of `query` as Parquet with COPY's `options`; gives the file's bytes. */
  readonly parquet: (query: string, options?: string) => Promise<Uint8Array>;
  /** Rows of `query` as JSON text; `$file` in it is the path of a file that holds `bytes`. */
  readonly rows: (bytes: Uint8Array, query: string) => Promise<string>;
};

/** Starts a DuckDB of one thread. */
export async function startDuck(): Promise<Duck> {
  const folder = mkdtempSync(join(tmpdir(), "ppml-parquet-"));
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  let files = 0;
  const path = (): string => {
    files += 1;
    return join(folder, `${files}.parquet`);
  };
  return {
    parquet: async (query, options = "") => {
      const file = path();
      await connection.run(`copy (${query}) to '${file}' (format parquet ${options})`);
      return new Uint8Array(readFileSync(file));
    },
    rows: async (bytes, query) => {
      const file = path();
      writeFileSync(file, bytes);
      try {
        const reader = await connection.runAndReadAll(query.replaceAll("$file", file));
        return JSON.stringify(reader.getRowObjectsJson());
      } finally {
        rmSync(file);
      }
    },
    [Symbol.asyncDispose]: async () => {
      connection.closeSync();
      instance.closeSync();
      rmSync(folder, { recursive: true });
      await Promise.resolve();
    },
  };
}
