import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { simulationPolicy } from "../../src/attest/appraise/policy.ts";
import { loadSimulationPki } from "../../src/attest/sim/pki.ts";
import { simulatedPlatformOf } from "../../src/attest/sim/platform.ts";
import { toHex } from "../../src/base/index.ts";
import { releasePolicyFor } from "../../src/release/index.ts";
import { measurement } from "../attest/fixture.ts";
import { ppml, runInProcess } from "./ppml.ts";
import type { Run } from "./ppml.ts";

const FILE = "references/launcher.json";
const LABEL = "launcher 1";
let folder: string;
let project: string;

const run = (...args: readonly string[]): Promise<Run> => runInProcess(args, { cwd: project });
const must = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 0, `ppml ${args.join(" ")}: ${stderr}${stdout}`);
  return stdout;
};

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ppml references "));
  project = join(folder, "project");
  mkdirSync(project);
  const made = await ppml(["init", ".", "--template", "empty", "--name", "test"], { cwd: project });
  assert.equal(made.code, 0, made.stderr);
  const yaml = join(project, "ppml.yaml");
  const head = readFileSync(yaml, "utf8").split("\ndatasets:")[0] ?? "";
  writeFileSync(
    yaml,
    `${head}\ndatasets: {}\npolicies:\n  analysis: { file: policies/analysis.json }\njobs: {}\n`,
  );
  const roots = JSON.parse(readFileSync(join(project, "roots.json"), "utf8")) as { owner: object };
  const appraisal = {
    ...simulationPolicy(["00".repeat(48)]),
    measurement: "reference",
    references: { file: FILE },
  };
  mkdirSync(join(project, "policies"), { recursive: true });
  writeFileSync(
    join(project, "policies", "analysis.json"),
    JSON.stringify({
      v: 1,
      name: "analysis",
      appraisal,
      release: releasePolicyFor({ mode: "simulation", measurements: [toHex(measurement)] }),
      jobs: { signers: [roots.owner], codeDigests: [], purposes: [], outputKeks: [] },
      grants: [],
      resources: [],
      ownerOpen: [],
    }),
  );
  const pki = loadSimulationPki(join(project, ".ppml", "sim"));
  const wire = simulatedPlatformOf(pki).attest({ measurement, reportData: new Uint8Array(64) });
  writeFileSync(join(project, "evidence.json"), JSON.stringify(wire));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const dryRun = (): Promise<Run> => run("policy", "dry-run", "analysis", "evidence.json");

async function refused(message: RegExp, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await run("policy", ...args);
  assert.ok(code === 1 || code === 2);
  assert.match(stderr, message);
}

test("a policy that links to reference values which are not there says how to begin", async () => {
  const { code, stderr } = await run("policy", "check", "analysis");
  assert.equal(code, 1);
  assert.match(
    stderr,
    /launcher\.json cannot be read: there is no such file[^]*`ppml policy stage` begins such a file/,
  );
});

test("a set is staged from Evidence, promoted, and expired; dry-run says what each would do", async () => {
  const shown = await must(
    "policy",
    "stage",
    FILE,
    LABEL,
    "measurement",
    "--from",
    "evidence.json",
  );
  assert.match(shown, /launcher, version 2\n.*\nlauncher 1 +staged +- +measurement +a1a1/);
  const staged = await dryRun();
  assert.equal(staged.code, 1);
  assert.match(staged.stdout, /REFUSES/);
  await must("policy", "promote", FILE, LABEL);
  assert.equal((await dryRun()).code, 0);
  assert.match(await must("policy", "apply", "analysis"), /in force as version 1/);
  await must("policy", "expire", FILE, LABEL, "--at", "2026-01-31");
  assert.equal((await dryRun()).code, 1);
  assert.match(await must("policy", "references", FILE), /accepted +2026-01-31T00:00:00Z/);
  assert.match(await must("policy", "apply", "analysis"), /in force as version 2/);
});

test("a label that is there, or is not, and a claim without a value are refused", async () => {
  await refused(
    /has a set "launcher 1" already/,
    "stage",
    FILE,
    LABEL,
    `measurement=${"00".repeat(48)}`,
  );
  await refused(/has no set "launcher 9"/, "promote", FILE, "launcher 9");
  await refused(/measurement has no value/, "stage", FILE, "launcher 2", "measurement");
  await refused(
    /no Evidence has a claim "mesurement": did you mean "measurement"\?/,
    "stage",
    FILE,
    "launcher 2",
    "mesurement=00",
  );
  await refused(
    /no Evidence has a claim "reportedTcb"/,
    "stage",
    FILE,
    "launcher 2",
    "reportedTcb=1",
  );
  for (const value of [`measurement=${"AB".repeat(48)}`, "measurement=ab", "vmpl=0", "debug=false"])
    await refused(/is no value that a reference set can have/, "stage", FILE, "launcher 2", value);
  for (const time of ["soon", "2027-02-31", "2027-02-30T12:00:00Z", "2027-01-31T24:00:00Z"])
    await refused(/expected a time/, "expire", FILE, LABEL, "--at", time);
});

test("a policy that is named by its file takes its reference values from theirs too", async () => {
  const path = join("policies", "analysis.json");
  const { appraisal } = JSON.parse(readFileSync(join(project, path), "utf8")) as {
    appraisal: object;
  };
  writeFileSync(join(project, "alone.json"), JSON.stringify(appraisal));
  for (const file of [path, "alone.json"]) {
    const { code, stdout, stderr } = await run("policy", "dry-run", file, "evidence.json");
    assert.equal(code, 1, stderr);
    assert.match(stdout, /REFUSES[^]*"launcher 1" expired 2026-01-31/);
  }
});

test("T148: a file of the owner's is not taken for another one of hers", async () => {
  const other = "references/database.json";
  await must("policy", "stage", other, LABEL, `measurement=${"cc".repeat(48)}`);
  const path = join(project, FILE);
  const text = readFileSync(path, "utf8");
  writeFileSync(path, readFileSync(join(project, other)));
  try {
    for (const args of [
      ["check", "analysis"],
      ["promote", FILE, LABEL],
    ])
      await refused(/it holds database, not launcher/, ...args);
  } finally {
    writeFileSync(path, text);
  }
});

test("nothing is signed that could not be read again", async () => {
  for (const label of ["", "x".repeat(101)]) {
    const args = ["stage", FILE, label, `measurement=${"cc".repeat(48)}`];
    await refused(/what .*launcher\.json would hold is not valid/, ...args);
  }
  await must("policy", "references", FILE);
});

test("T148: reference values that another key signed, or that were edited, are refused", async () => {
  const path = join(project, FILE);
  const text = readFileSync(path, "utf8");
  const envelope = JSON.parse(text) as { payload: string };
  const payload = Buffer.from(envelope.payload, "base64")
    .toString("utf8")
    .replace("2026-01-31", "2036-01-31");
  writeFileSync(
    path,
    JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString("base64") }),
  );
  try {
    for (const command of ["check", "apply"]) {
      const { code, stderr } = await run("policy", command, "analysis");
      assert.equal(code, 1);
      assert.match(stderr, /does not hold reference values that the owner signed/);
    }
    const promoted = await run("policy", "promote", FILE, LABEL);
    assert.equal(promoted.code, 1, "an edited file is not signed again");
  } finally {
    writeFileSync(path, text);
  }
});

test("a policy's file that has a member twice is refused: a review may have seen the other", async () => {
  const path = join(project, "policies", "analysis.json");
  const text = readFileSync(path, "utf8");
  const lax = text.replace('"vmpl":', '"vmpl":"any","vmpl":');
  const named = join(project, "lax.json");
  try {
    for (const file of [path, named]) writeFileSync(file, lax);
    for (const args of [
      ["policy", "check", "analysis"],
      ["policy", "dry-run", "lax.json", "evidence.json"],
    ]) {
      const { code, stderr } = await run(...args);
      assert.equal(code, 1);
      assert.match(stderr, /"vmpl" twice in one object: leave one of them/);
    }
  } finally {
    writeFileSync(path, text);
    rmSync(named);
  }
});
