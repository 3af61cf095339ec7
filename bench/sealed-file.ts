/**
 * Seals and opens a file in tmpfs through the local store, beside `cp` and the `age` CLI on the same
 * file, each side a process of its own and the sides alternating.
 * Usage: node bench/sealed-file.ts [--mib 1024] [--rounds 5]
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Secret } from "../src/base/index.ts";
import type { WrappedLocalKey } from "../src/format/kek.ts";
import { openSealedFile } from "../src/open/open-file.ts";
import { sealFileTo } from "../src/seal/seal-file.ts";
import type { SealedFile } from "../src/seal/seal-file.ts";
import { freeChunk, openLocalSource, openLocalStore } from "../src/store/index.ts";

const DATASET_ID = "5a".repeat(16);
const WRAPPED: WrappedLocalKey = {
  id: Buffer.alloc(16, 1).toString("base64url"),
  kekId: "bench",
  kekVersion: "0".repeat(32),
  wrapped: Buffer.alloc(384, 2).toString("base64url"),
};

type Outcome = { readonly workMs: number; readonly peakMiB: number };
type Side = { readonly label: string; readonly output: string; readonly run: () => Outcome };
type Row = { readonly label: string; readonly wallMs: number[]; readonly outcomes: Outcome[] };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mib: { type: "string", default: "1024" },
    rounds: { type: "string", default: "5" },
  },
});
const [childSide, childFolder] = positionals;
if (childSide !== undefined && childFolder !== undefined) await runChild(childSide, childFolder);
else await compare(Number(values.mib), Number(values.rounds));

/** One side of ours, in its own process: prints its time and its peak memory. */
async function runChild(side: string, folder: string): Promise<void> {
  const startMs = performance.now();
  const store = openLocalStore(folder);
  using key = Secret.take(new Uint8Array(32).fill(7));
  if (side === "seal") {
    await using plaintext = await openLocalSource(join(folder, "input"), {
      name: "input",
      followLink: false,
    });
    const sealed = await sealFileTo(
      { store, name: "sealed" },
      { plaintext, datasetId: DATASET_ID, localKey: { key, wrapped: WRAPPED } },
    );
    writeFileSync(join(folder, "sealed.json"), JSON.stringify(sealed));
  } else {
    const sealed = JSON.parse(readFileSync(join(folder, "sealed.json"), "utf8")) as SealedFile;
    await using source = await store.source("sealed");
    const opened = await openSealedFile({
      source,
      localKeyFor: () => key,
      expected: { ...sealed, datasetId: DATASET_ID },
    });
    await store.put("opened", opened.stream(), { recycle: freeChunk });
  }
  const workMs = performance.now() - startMs;
  console.log(JSON.stringify({ workMs, peakMiB: process.resourceUsage().maxRSS / 1024 }));
}

async function compare(mib: number, rounds: number): Promise<void> {
  const base = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const folder = mkdtempSync(join(base, "ppml-bench-"));
  try {
    await writeInput(folder, Math.max(1, Math.floor(mib / 4)));
    const small = ["seal", "open"].map(
      (side) => `${side} ${ours(side, folder).peakMiB.toFixed(0)}`,
    );
    await writeInput(folder, mib);
    const rows = measure(sides(folder), rounds);
    checkOpened(folder);
    console.log(`${mib} MiB in ${base}, Node ${process.version}, medians of ${rounds} rounds\n`);
    printTable(rows);
    console.log(`\npeak memory at a quarter of the size, MiB: ${small.join(", ")}`);
    if (ageVersion() === null) console.log("age is not installed: its rows are left out");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function sides(folder: string): readonly Side[] {
  const path = (name: string): string => join(folder, name);
  const all: Side[] = [
    {
      label: "cp",
      output: path("copied"),
      run: () => command("cp", [path("input"), path("copied")]),
    },
  ];
  if (ageVersion() !== null) {
    execFileSync("age-keygen", ["-o", path("age-key")], { stdio: "ignore" });
    const recipient = execFileSync("age-keygen", ["-y", path("age-key")], { encoding: "utf8" });
    const seal = ["-r", recipient.trim(), "-o", path("age-sealed"), path("input")];
    const open = ["-d", "-i", path("age-key"), "-o", path("age-opened"), path("age-sealed")];
    all.push({ label: "age seal", output: path("age-sealed"), run: () => command("age", seal) });
    all.push({ label: "age open", output: path("age-opened"), run: () => command("age", open) });
  }
  all.push({ label: "ppml seal", output: path("sealed"), run: () => ours("seal", folder) });
  all.push({ label: "ppml open", output: path("opened"), run: () => ours("open", folder) });
  return all;
}

/** Runs all sides once for warming up, then `rounds` times in turn; each writes a new file. */
function measure(all: readonly Side[], rounds: number): readonly Row[] {
  const rows = all.map(({ label }): Row => ({ label, wallMs: [], outcomes: [] }));
  for (let round = -1; round < rounds; round += 1) {
    for (const [index, side] of all.entries()) {
      rmSync(side.output, { force: true });
      const startMs = performance.now();
      const outcome = side.run();
      const wallMs = performance.now() - startMs;
      if (round < 0) continue;
      rows[index]?.wallMs.push(wallMs);
      rows[index]?.outcomes.push(outcome);
    }
  }
  return rows;
}

function printTable(rows: readonly Row[]): void {
  const wallOf = (label: string): number =>
    median(rows.find((row) => row.label === label)?.wallMs ?? []);
  const ratio = (ms: number, other: string): string => {
    const otherMs = wallOf(other);
    return Number.isNaN(otherMs) ? "-" : (ms / otherMs).toFixed(2);
  };
  console.log(
    "| side | wall s | without start s | wall / cp | work / cp | wall / age | peak MiB |",
  );
  console.log("| --- | --- | --- | --- | --- | --- | --- |");
  for (const row of rows) {
    const wallMs = median(row.wallMs);
    const workMs = median(row.outcomes.map((outcome) => outcome.workMs));
    const peakMiB = Math.max(...row.outcomes.map((outcome) => outcome.peakMiB));
    const age = row.label.endsWith("open") ? "age open" : "age seal";
    const cells = [
      row.label,
      (wallMs / 1000).toFixed(2),
      Number.isNaN(workMs) ? "-" : (workMs / 1000).toFixed(2),
      ratio(wallMs, "cp"),
      Number.isNaN(workMs) ? "-" : ratio(workMs, "cp"),
      row.label === "cp" ? "-" : ratio(wallMs, age),
      Number.isNaN(peakMiB) ? "-" : peakMiB.toFixed(0),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function ours(side: string, folder: string): Outcome {
  rmSync(join(folder, side === "seal" ? "sealed" : "opened"), { force: true });
  const output = execFileSync(process.execPath, [import.meta.filename, side, folder], {
    encoding: "utf8",
  });
  return JSON.parse(output) as Outcome;
}

function command(name: string, args: readonly string[]): Outcome {
  execFileSync(name, args, { stdio: "inherit" });
  return { workMs: Number.NaN, peakMiB: Number.NaN };
}

function ageVersion(): string | null {
  const result = spawnSync("age", ["--version"], { encoding: "utf8" });
  return result.status === 0 ? result.stdout.trim() : null;
}

async function writeInput(folder: string, mib: number): Promise<void> {
  const file = createWriteStream(join(folder, "input"));
  for (let index = 0; index < mib; index += 1)
    if (!file.write(randomBytes(1_048_576))) await once(file, "drain");
  file.end();
  await once(file, "close");
}

function checkOpened(folder: string): void {
  execFileSync("cmp", [join(folder, "input"), join(folder, "opened")]);
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.filter((number) => !Number.isNaN(number)).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
