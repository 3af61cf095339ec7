import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { commandsOf } from "../../src/cli/routes.ts";
import { withTwin } from "../../src/twin/environment.ts";
import { RESOURCES } from "../../src/twin/state-kinds.ts";
import type { Step } from "../provision/azure/in-twin.ts";
import { SSH_KEY } from "../provision/azure/sections.ts";
import { runningTwin } from "../twin/running.ts";
import { ppml, temporaryFolder } from "./ppml.ts";

const ROOT = join(import.meta.dirname, "../..");
const CHILD = join(ROOT, "test/provision/azure/steps-child.ts");
const guide = readFileSync(join(ROOT, "docs/guides/azure.md"), "utf8");

/** The commands of the guide in their order, without the `$`. */
const lines = [...guide.matchAll(/^ {4}\$ (.*)$/gm)].map(([, line = ""]) => line);
const ours = lines.filter((line) => line.startsWith("ppml ")).map((line) => line.slice(5));

/** What the guide has changed in ppml.yaml: "`a` becomes `b`". */
const edits = [...guide.matchAll(/`([^`]+)` becomes `([^`]+)`/g)].map(
  ([, from = "", to = ""]) => [from, to] as const,
);

/** The two that come before the double's shell, which a test runs as processes of their own. */
const [INIT, SHELL] = ["init --template azure", "twin exec -- sh"];

/** Runs the guide from its first line to its last, and gives what each command said. */
async function runGuide(context: Pick<TestContext, "after">): Promise<{
  readonly steps: ReadonlyMap<string, Step>;
  readonly made: readonly string[];
  readonly cwd: string;
}> {
  const cwd = join(temporaryFolder(context), "project");
  mkdirSync(cwd);
  const init = await ppml(INIT.split(" "), { cwd });
  assert.equal(init.code, 0, init.stderr);
  const entered = await ppml(SHELL.split(" "), { cwd });
  assert.equal(entered.code, 0, entered.stderr);
  assert.match(entered.stderr, /^SIMULATED: [^\n]*\n$/);
  writeFileSync(join(cwd, ".ppml/client.pub"), `${SSH_KEY}\n`);
  let yaml = readFileSync(join(cwd, "ppml.yaml"), "utf8");
  for (const [from, to] of edits) {
    assert.equal(yaml.split(from).length, 2, `ppml.yaml has ${from} once`);
    yaml = yaml.replace(from, to);
  }
  writeFileSync(join(cwd, "ppml.yaml"), yaml);
  // The same folder: the state that the shell's first start made, with the ids of ppml.yaml.
  const twin = await runningTwin(context, { folder: join(cwd, ".ppml-twin") });
  const rest = ours.filter((line) => line !== INIT && line !== SHELL);
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD], {
    cwd,
    env: withTwin({ PATH: process.env["PATH"], HOME: cwd }, twin.environment),
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(JSON.stringify(rest.map((line) => line.split(" "))));
  const runs = JSON.parse(await text(child.stdout)) as readonly Step[];
  const steps = new Map<string, Step>();
  for (const [index, run] of runs.entries()) steps.set(keyOf(rest, index), run);
  const made = twin.base.state.list(RESOURCES).map(({ id }) => id);
  return { steps, made, cwd };
}

/** A command that comes again is told apart by a number. */
function keyOf(all: readonly string[], index: number): string {
  const line = all[index] ?? "";
  const count = all.slice(0, index).filter((one) => one === line).length;
  return count === 0 ? line : `${line} #${count + 1}`;
}

let ran: Awaited<ReturnType<typeof runGuide>>;
before(async (context) => {
  assert.ok("after" in context);
  ran = await runGuide(context);
});

/** What a command of the guide wrote. */
function said(command: string): string {
  const step = ran.steps.get(command);
  assert.ok(step !== undefined, `the guide has no ${command}`);
  return step.stdout + step.stderr;
}

describe("docs/guides/azure.md", () => {
  test("every command of ours in it ends well in the double, in the guide's order", () => {
    assert.ok(ran.steps.size >= 19, String(ran.steps.size));
    for (const [command, { code, stdout, stderr }] of ran.steps)
      assert.equal(code, 0, `ppml ${command}\n${stdout}${stderr}`);
  });

  test("the plan says who gets which role on what, and what is watched", () => {
    const plan = said("azure plan --out plan.json");
    assert.match(plan, /Network Contributor for ppml-aks-control on subnet ppml-vnet\/aks\n/);
    assert.match(plan, /Key Vault Secrets Officer for operator aaaaaaaa-\S+ on vault my-vault\n/);
    assert.match(plan, /diagnosticSettings ppml, of vault my-vault\n/);
    assert.match(
      said("azure status"),
      /Storage Blob Data Contributor for ppml-spark on filesystem/,
    );
    assert.doesNotMatch(plan, /roleAssignments [0-9a-f]{8}-/);
  });

  test("the client VM, the cluster and the filesystem are made; what is there is left", () => {
    assert.match(said("azure status"), /virtualMachines +ppml-vm/);
    assert.match(said("azure status"), /managedClusters +ppml-aks/);
    assert.match(said("up --yes"), /up to date/);
    assert.match(
      said("data mkfs abfss://sealed@mydatalake.dfs.core.windows.net"),
      /is there already/,
    );
  });

  test("a file and a folder are sealed into the data lake by its abfss URI, with a login and no account key", () => {
    const place = "abfss://sealed@mydatalake.dfs.core.windows.net/documents";
    assert.match(said(`data ls -r ${place}`), /documents\/v2\/example\.csv/);
    assert.match(said("data verify"), /documents +v2 +the owner +1 +as listed/);
    assert.match(said("data put -r data/in documents"), /documents +v2/);
    const all = [...ran.steps.values()].map(({ stderr }) => stderr).join("");
    assert.doesNotMatch(all, /asked with its key/);
    assert.match(said(`data rm -r --yes ${place}`), /documents/);
  });

  test("the directory of a job is made with the POSIX rights of its reader", () => {
    const command = [...ran.steps.keys()].find((one) => one.startsWith("data mkdir"));
    assert.match(
      said(command ?? ""),
      /is made; its ACL has .*user:bbbbbbbb-1111-4222-8333-444444444444:r-x/,
    );
  });

  test("the guide's secrets go into the vault, no file has them, and the workload may read them then", () => {
    assert.match(
      said("key enclave --vault"),
      /secrets\/enclave-key-pem\/.*\nMRSIGNER [0-9a-f]{64}/,
    );
    assert.match(said("key password --vault"), /secrets\/key-pass\//);
    assert.match(said("up --yes"), /spark on enclave-key-pem, spark on key-pass/);
    assert.match(said("up --yes"), /secrets\/key-pass: there already\.\n/);
    assert.match(said("up --yes"), /\nNext: ppml data seal documents\n/);
    const files = readdirSync(ran.cwd, { recursive: true, encoding: "utf8" });
    assert.deepEqual(
      files.filter((name) => /enclave-key|key-pass/.test(name)),
      [],
    );
  });

  test("destroy keeps the vault and the data", () => {
    for (const part of ["/vaults/my-vault", "/storageaccounts/mydatalake"])
      assert.ok(
        ran.made.some((id) => id.endsWith(part)),
        part,
      );
    assert.ok(!ran.made.some((id) => id.includes("/managedclusters/")));
  });
});

test("every command that docs/guides/azure.md names is one that there is, with its flags", () => {
  const known = new Map(commandsOf().map(({ path }) => [path.join(" "), path]));
  const reference = readFileSync(join(ROOT, "docs/cli.md"), "utf8").split("\n## ");
  const inline = [...guide.matchAll(/`ppml ([^`]+)`/g)].map(([, line = ""]) => line);
  for (const line of [...ours, ...inline]) {
    const words = line.split(" ");
    const name = [3, 2, 1]
      .map((count) => words.slice(0, count).join(" "))
      .find((one) => known.has(one));
    assert.ok(name !== undefined, `ppml ${line}`);
    const page = reference.find((one) => one.startsWith(`ppml ${name}\n`)) ?? "";
    const own = line.split(" -- ")[0] ?? "";
    for (const [flag] of own.matchAll(/--[a-z-]+/g))
      assert.ok(page.includes(`[${flag}]`), `ppml ${line}`);
  }
});
