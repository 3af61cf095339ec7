/**
 * `npm run bench`: runs the measurements named, or all, and prints one table of their figures.
 * Usage: npm run bench -- [--quick] [sealed-file] [parquet] [tpch] [dcap] [rcar] [cli] [upload] [twin] [start]
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { formatTable } from "./table.ts";
import type { Figure } from "./table.ts";

type Bench = (options: { readonly quick: boolean }) => Promise<readonly Figure[]>;

const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  "sealed-file": async () => (await import("./sealed-file.ts")).benchSealedFile,
  parquet: async () => (await import("./parquet.ts")).benchParquet,
  tpch: async () => (await import("./tpch.ts")).benchTpch,
  dcap: async () => (await import("./attest/dcap.ts")).benchDcap,
  rcar: async () => (await import("./rcar.ts")).benchRcar,
  cli: async () => (await import("./cli.ts")).benchCli,
  upload: async () => (await import("./upload.ts")).benchUpload,
  twin: async () => (await import("./twin.ts")).benchTwin,
  start: async () => (await import("./start.ts")).benchStart,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false } },
});
const names = positionals.length > 0 ? positionals : Object.keys(BENCHES);
const figures: Figure[] = [];
for (const name of names) {
  const load = BENCHES[name];
  if (load === undefined)
    throw new RangeError(`no bench ${name}: choose from ${Object.keys(BENCHES).join(", ")}`);
  console.error(`${name} ...`);
  const bench = await load();
  figures.push(...(await bench({ quick: values.quick })));
}
console.log(`Node ${process.version}, ${availableParallelism()} cores\n\n${formatTable(figures)}`);
console.log("\nratio = ppml / beside: of times, below 1 is better; of speeds, above 1");
