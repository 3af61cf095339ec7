import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeParquet } from "../compute/fixture.ts";
import { makeTestProject } from "./project.ts";
import type { TestProject } from "./project.ts";

const DATASETS = `datasets:
  tables:
    source: data/tables
    store: sealed/tables
    groups:
      - { name: rest, kek: ordinary }
      - { name: pay, kek: sensitive, columns: [pay] }
  words:
    source: data/words
    store: sealed/words
    groups: [{ name: all, kek: ordinary }]`;

function jobOf(name: string, dataset: string): string {
  return `
  ${name}:
    engine: sql
    code: queries/${name}.sql
    policy: analysis
    purpose: a test
    inputs: { ${dataset}: { dataset: ${dataset} } }
    output: answers
    limits: { memoryMiB: 512, timeoutSeconds: 60, threads: 2 }`;
}

/** Bytes of each plaintext of `words`: more than two segments. */
const WORDS_BYTES = 3 * 1_048_576;

/**
 * A project with two sealed datasets of two files each, `tables` and `words`, the jobs `total` and
 * `count` over them, and a policy that lets the owner open both.
 */
export function makeTwoDatasets(folder: string): Promise<TestProject> {
  return makeTestProject({
    folder,
    canary: "x",
    sql: "SELECT 1 AS one",
    ownerOpens: true,
    extend: addDatasets,
  });
}

async function addDatasets(root: string): Promise<readonly string[]> {
  const at = (...parts: readonly string[]): string => join(root, ...parts);
  const yaml = readFileSync(at("ppml.yaml"), "utf8");
  const jobs = `jobs:${jobOf("total", "tables")}${jobOf("count", "words")}`;
  writeFileSync(at("ppml.yaml"), yaml.replace("datasets:", DATASETS).replace("jobs:", jobs));
  writeFileSync(at("queries", "total.sql"), "SELECT sum(id + pay) AS total FROM tables");
  writeFileSync(at("queries", "count.sql"), "SELECT count(*) AS n FROM words");
  for (const dataset of ["tables", "words"]) mkdirSync(at("data", dataset));
  for (const name of ["a", "b"]) {
    await writeParquet(
      at("data", "tables", `${name}.parquet`),
      `SELECT i AS id, i * 2 AS pay FROM range(2000) t(i)`,
    );
    const row = `${name},1234567890\n`;
    writeFileSync(
      at("data", "words", `${name}.csv`),
      `k,v\n${row.repeat(WORDS_BYTES / row.length)}`,
    );
  }
  return ["total", "count"];
}
