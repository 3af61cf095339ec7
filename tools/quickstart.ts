// `npm start`: the main job end to end on real data, then what is refused. It types what a person
// would type, and leaves everything in one folder.
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { bold, dim, PPML, typeCommand } from "./quickstart/type-command.ts";
import type { Shown } from "./quickstart/type-command.ts";

const ROOT = join(import.meta.dirname, "..");
const FOLDER = join(ROOT, "ppml-quickstart");
const MARK = join(FOLDER, ".quickstart");
function say(text: string): void {
  console.log(`\n${bold(text)}`);
}

const ppml = (args: readonly string[], shown: Shown = "all") =>
  typeCommand(args, { folder: FOLDER, shown });

function must(args: readonly string[], shown: Shown = "all"): void {
  const { status, stderr } = ppml(args, shown);
  if (status === 0) return;
  if (shown !== "all") console.error(stderr);
  console.error(`ppml ${args.join(" ")} ended with exit code ${status}; the folder is ${FOLDER}`);
  process.exit(1);
}

let refusals = 0;

/** Tries what has to be refused, and shows the error; `code` is the one that it must give. */
function mustRefuse(what: string, code: string, args: readonly string[]): void {
  say(`Refused? ${what}`);
  const { status, stderr } = ppml(args, "nothing");
  const lines = stderr.trimEnd().split("\n");
  const from = lines.findIndex((line) => line.startsWith("error:"));
  for (const line of lines.slice(Math.max(0, from))) console.log(`  ${line}`);
  if (status === 1 && stderr.includes(code)) {
    refusals += 1;
    return;
  }
  console.error(`expected a refusal with ${code}, got exit code ${status}:\n${stderr}`);
  process.exit(1);
}

function prepareFolder(): void {
  if (existsSync(FOLDER) && !existsSync(MARK)) {
    console.error(`${FOLDER} exists and was not made by npm start: move it away, then run again`);
    process.exit(1);
  }
  rmSync(FOLDER, { recursive: true, force: true });
}

function mainJob(): void {
  say("1. A project: ppml.yaml, a vault in simulation mode, a KEK for each group of columns");
  const made = spawnSync(
    PPML,
    ["init", FOLDER, "--template", "quickstart", "--name", "quickstart"],
    {
      encoding: "utf8",
    },
  );
  if (made.status !== 0) {
    console.error(made.stderr);
    process.exit(1);
  }
  writeFileSync(MARK, "made by npm start\n");
  console.log(dim("$ ppml init ppml-quickstart --template quickstart"));
  must(["key", "list"]);

  say("2. Three million real flights sealed as a table, the airports as a file; manifests signed");
  must(["data", "seal"]);

  say(
    "3. The owner signs the job, and puts two policies in force: for the job, for opening results",
  );
  must(["job", "sign", "delays"]);
  must(["policy", "draft", "analysis"], "nothing");
  must(["policy", "draft", "owner"], "nothing");
  must(["policy", "apply"]);

  say("4. The TEE (SIMULATED) attests, gets the keys by the policy, joins, groups, ranks, seals");
  must(["run", "delays"]);

  say("5. The owner opens the result (a release of its own), and proves it offline");
  must(["data", "open", "delays"]);
  must(["receipt", "verify", "receipts/delays-v1.receipt.json", "--policy", "analysis"]);
}

function refusedStorage(): void {
  const store = join(FOLDER, "sealed", "flights");
  const before = join(FOLDER, "before");
  cpSync(store, before, { recursive: true });
  must(["data", "seal", "flights"], "nothing");
  const file = join(store, "v2", "flights-3m.parquet");
  const good = join(FOLDER, "good.parquet");
  copyFileSync(file, good);

  const bytes = readFileSync(good);
  for (let at = 300_000; at < bytes.length - 100_000; at += 250_000)
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
  mustRefuse("a tampered file: one bit changed in each 250 kB", "open.not_authentic", [
    "run",
    "delays",
  ]);

  copyFileSync(join(before, "v1", "flights-3m.parquet"), file);
  mustRefuse("another sealed table under the same KEKs in its place", "open.manifest", [
    "run",
    "delays",
  ]);

  copyFileSync(join(FOLDER, "data", "flights-3m.parquet"), file);
  mustRefuse("a plaintext Parquet in its place", "open.plaintext", ["run", "delays"]);

  const now = join(FOLDER, "now");
  copyFileSync(good, file);
  renameSync(store, now);
  renameSync(before, store);
  mustRefuse("the whole folder rolled back to its first version", "open.rolled_back", [
    "run",
    "delays",
  ]);
  rmSync(store, { recursive: true });
  renameSync(now, store);
  rmSync(good);
}

function refusedJobs(): void {
  const query = join(FOLDER, "queries", "delays.sql");
  const text = readFileSync(query, "utf8");
  writeFileSync(query, text.replace("place <= 3", "place <= 4"));
  mustRefuse("a changed query", "launch.job", ["run", "delays"]);
  must(["job", "sign", "delays"], "nothing");
  mustRefuse("the changed query, signed, but not in the policy", "release.job", ["run", "delays"]);
  writeFileSync(query, text);
  must(["job", "sign", "delays"], "nothing");
  mustRefuse("another output key", "launch.job", ["run", "delays", "--output-kek", "airports"]);
}

function refusedCode(): void {
  const image = join(FOLDER, "changed-image");
  mkdirSync(image);
  cpSync(join(ROOT, "src"), join(image, "src"), { recursive: true });
  copyFileSync(join(ROOT, "package.json"), join(image, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(image, "node_modules"));
  const worker = join(image, "src", "compute", "sql", "worker.ts");
  writeFileSync(worker, readFileSync(worker, "utf8").replace("Runs one task", "runs one task"));
  mustRefuse("one changed byte in the worker's code", "release.denied", [
    "run",
    "delays",
    "--image",
    image,
  ]);
  rmSync(image, { recursive: true });
}

function refusedColumns(): void {
  const grants = ["--grant", "flights-ordinary", "--grant", "airports"];
  must(["policy", "draft", "analysis", "--force", ...grants], "nothing");
  must(["policy", "apply", "analysis"], "nothing");
  mustRefuse("a column group that the policy does not grant", "release.not_granted", [
    "run",
    "delays",
  ]);
  must(["policy", "draft", "analysis", "--force"], "nothing");
  must(["policy", "apply", "analysis"], "nothing");
}

const startedMs = Date.now();
prepareFolder();
mainJob();
say("6. What is refused, each with its error");
refusedStorage();
refusedJobs();
refusedCode();
refusedColumns();
say("All is put back: the job runs again, and the log holds every decision");
must(["run", "delays"], "last");
must(["audit", "verify"]);

say(
  `Done: ${refusals} of ${refusals} attacks refused, in ${((Date.now() - startedMs) / 1000).toFixed(0)} s.`,
);
console.log(`Everything is in ${relative(process.cwd(), FOLDER) || "."}/ (SIMULATED: no hardware protected it).

Try next:
  cd ${relative(process.cwd(), FOLDER)}
  ../bin/ppml audit tail                  every decision, one line each
  ../bin/ppml policy explain analysis     who gets which keys, in plain words
  ../bin/ppml enclave measure             what the policy's measurement stands for
  ../bin/ppml --help                      all commands
A project of your own: bin/ppml init my-project --template people`);
