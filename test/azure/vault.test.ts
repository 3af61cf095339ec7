import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { writeParquet } from "../compute/fixture.ts";
import { makeVaultProject } from "./vault-project.ts";
import type { VaultProject } from "./vault-project.ts";

const VAULT = "ppmlkv";
const JOB = `
datasets:
  people: { source: people.parquet, store: sealed/people, groups: [{ name: all, kek: people }] }
  answers: { store: sealed/answers, groups: [{ name: all, kek: results }] }
policies:
  analysis: { file: policies/analysis.json }
  owner: { file: policies/owner.json }
jobs:
  answer:
    engine: sql
    code: answer.sql
    policy: analysis
    purpose: a test
    inputs: { people: { dataset: people } }
    output: answers
    limits: { memoryMiB: 256, timeoutSeconds: 60, threads: 1 }
`;

describe("a project with its vault in Azure (the double's)", () => {
  let project: VaultProject;
  let cwd: string;
  const ppml: VaultProject["ppml"] = (...args) => project.ppml(...args);
  const grant: VaultProject["grant"] = (role) => project.grant(role);
  before(async () => {
    project = await makeVaultProject(JOB);
    ({ cwd } = project);
  });
  after(() => project.close());

  test("a missing role is told with the command that gives it, and then the KEK is made", async () => {
    const denied = await ppml("key", "create", "flights");
    assert.equal(denied.code, 1);
    assert.match(denied.stderr, /lacks the role "Key Vault Reader"/);
    assert.match(denied.stderr, /az role assignment create/);
    grant("Key Vault Crypto Officer");
    const made = await ppml("key", "create", "flights", "--json");
    assert.equal(made.code, 0, made.stderr);
    const { kek } = JSON.parse(made.stdout);
    assert.equal(kek.kekId, `https://${VAULT}.vault.azure.net/keys/sim-flights`);
    assert.equal(kek.mode, "simulation");
  });

  test("rotate, export, destroy and list work as with the vault in a file, and a deletion is told as one", async () => {
    assert.equal((await ppml("key", "rotate", "flights")).code, 0);
    const exported = await ppml("key", "export", "flights", "--format", "jwk");
    assert.equal(JSON.parse(exported.stdout).ppml.kind, "unwrap-only");
    const gone = await ppml("key", "destroy", "flights", "--yes");
    assert.equal(gone.code, 0, gone.stderr);
    assert.match(gone.stdout, /is deleted, and not destroyed yet: until \d{4}-/);
    assert.doesNotMatch(gone.stdout, /has shredded it/);
    const listed = JSON.parse((await ppml("key", "list", "--json")).stdout);
    assert.deepEqual(
      listed.keks.map(({ name, state }: { name: string; state: string }) => [name, state]),
      [["flights", "deleted"]],
    );
    const backup = await ppml("key", "backup", "x.backup");
    assert.match(backup.stderr, /az keyvault key backup/);
  });

  test("the guide's secrets are set in the vault, once, and no file is written", async () => {
    const denied = await ppml("key", "password", "--vault");
    assert.match(denied.stderr, /lacks the role "Key Vault Secrets Officer"/);
    grant("Key Vault Secrets Officer");
    const set = await ppml("key", "password", "--vault", "--json");
    assert.equal(set.code, 0, set.stderr);
    const { path } = JSON.parse(set.stdout);
    assert.match(path, new RegExp(`^https://${VAULT}\\.vault\\.azure\\.net/secrets/key-pass/`));
    const again = await ppml("key", "password", "--vault");
    assert.match(again.stderr, /provision\.exists/);
    const key = await ppml("key", "enclave", "--vault");
    assert.match(
      key.stdout,
      /^Made https:[^\n]*secrets\/enclave-key-pem\/[^\n]*\nMRSIGNER [0-9a-f]{64}/,
    );
    assert.ok(!readdirSync(cwd).some((name) => /password|enclave/.test(name)));
  });

  test("a job runs: the broker unwraps in Key Vault, and the owner opens the result", async () => {
    await writeParquet(join(cwd, "people.parquet"), "SELECT i AS id FROM range(1000) t(i)");
    writeFileSync(join(cwd, "answer.sql"), "SELECT sum(id) AS total FROM people");
    for (const args of [
      ["key", "create", "people"],
      ["key", "create", "results"],
      ["data", "seal"],
      ["job", "sign", "answer"],
      ["policy", "draft", "analysis"],
      ["policy", "draft", "owner"],
      ["policy", "apply"],
      ["run", "answer"],
    ]) {
      const run = await ppml(...args);
      assert.equal(run.code, 0, `${args.join(" ")}: ${run.stderr}`);
    }
    const shown = await ppml("data", "open", "answers");
    assert.match(shown.stdout, /499500/);
  });
});
