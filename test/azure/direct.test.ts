import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { signObject } from "../../src/format/signed-object.ts";
import { loadRootKeyFile, loadSigningKey } from "../../src/key/index.ts";
import { writeParquet } from "../compute/fixture.ts";
import { makeVaultProject } from "./vault-project.ts";
import type { VaultProject } from "./vault-project.ts";

const YAML = `
direct:
  attestation: https://maa.eus2.attest.azure.net
  vaultRoots: vault-roots.pem
datasets:
  people:
    source: people.parquet
    store: sealed/people
    groups:
      - { name: all, kek: people }
      - { name: pay, kek: pay, columns: [pay] }
  answers: { store: sealed/answers, groups: [{ name: all, kek: results }] }
policies:
  direct: { file: policies/direct.json }
  owner: { file: policies/owner.json }
jobs:
  answer:
    engine: sql
    code: answer.sql
    policy: direct
    release: direct
    purpose: a test
    inputs: { people: { dataset: people } }
    output: answers
    limits: { memoryMiB: 256, timeoutSeconds: 60, threads: 1 }
`;

describe("a job without a broker: Azure Attestation and Key Vault (the double's) give its keys to the TEE", () => {
  let project: VaultProject;
  const at = (...parts: readonly string[]): string => join(project.cwd, ...parts);

  const must = async (...args: readonly string[]) => {
    const run = await project.ppml(...args);
    assert.equal(run.code, 0, `${args.join(" ")}: ${run.stdout}${run.stderr}`);
    return run;
  };
  const refused = async (code: string, ...args: readonly string[]) => {
    const run = await project.ppml(...args, "--json");
    assert.equal(run.code, 1, `${args.join(" ")}: ${run.stdout}${run.stderr}`);
    const { error } = JSON.parse(run.stdout) as { error: { code: string; message: string } };
    assert.equal(error.code, code, error.message);
    return error.message;
  };
  const stored = (): string[] =>
    readdirSync(at("sealed", "answers"), { recursive: true, encoding: "utf8" }).sort();

  before(async () => {
    project = await makeVaultProject(YAML);
    // What a person pins: the roots that the vault's answers lead to.
    cpSync(join(project.cwd, "..", "twin", "keyvault", "release-root.pem"), at("vault-roots.pem"));
    for (const role of ["Key Vault Crypto Officer", "Key Vault Crypto User"]) project.grant(role);
    await writeParquet(at("people.parquet"), "SELECT i AS id, i * 2 AS pay FROM range(1000) t(i)");
    writeFileSync(at("answer.sql"), "SELECT sum(id) AS ids, sum(pay) AS pay FROM people");
    await must("enclave", "measure", "--direct", "--release-policy", "direct.skr.json");
    for (const name of ["people", "pay"])
      await must("key", "create", name, "--release-policy", "direct.skr.json");
    await must("key", "create", "results");
    await must("data", "seal");
    await must("job", "sign", "answer");
    for (const name of ["direct", "owner"]) await must("policy", "draft", name);
    await must("policy", "apply");
  });
  after(() => project.close());

  test("the job runs, and its receipt says that no job policy applied", async () => {
    const run = await must("run", "answer");
    assert.match(
      run.stderr,
      /released 2 KEK\(s\) by their own release policies.*NO JOB POLICY APPLIED/,
    );
    assert.match(run.stderr, /in no log; it waits for its owner's acceptance/);
    assert.match(run.stdout, /ppml data accept answers/);
    const receipt = "receipts/answers-v1.receipt.json";
    const verified = await must("receipt", "verify", receipt, "--policy", "direct");
    assert.match(verified.stdout, /not proved: NO JOB POLICY APPLIED/);
    assert.match(verified.stdout, /appraisal +ok/);
  });

  test("nobody reads the result before the owner accepts it; then it opens", async () => {
    assert.ok(!stored().includes("manifest.json"));
    await refused("open.manifest", "data", "open", "answers");
    const accepted = await must("data", "accept", "answers");
    assert.match(accepted.stdout, /accepted +answers v1/);
    assert.match((await must("data", "open", "answers")).stdout, /499500 +│? *.*999000/);
    await must("data", "verify", "answers");
    assert.deepEqual(
      stored()
        .filter((name) => !name.startsWith("."))
        .map((name) => name.replace(/-[0-9a-f]{8}/, "")),
      ["manifest.json", "receipt.json", "v1", "v1/answer.parquet"],
    );
    assert.match(
      await refused("open.manifest", "data", "accept", "answers"),
      /newer than version 1/,
    );
  });

  test("T163: the host cannot have another job run, another signer's, or a launcher that takes them", async () => {
    const path = at("jobs", "answer.job.json");
    const signed = readFileSync(path);
    writeFileSync(at("answer.sql"), "SELECT * FROM people");
    await refused("launch.job", "run", "answer");
    writeFileSync(at("answer.sql"), "SELECT sum(id) AS ids, sum(pay) AS pay FROM people");
    // The owner's key in the launcher's configuration, exchanged: another measurement.
    const roots = readFileSync(at("roots.json"), "utf8");
    const other = JSON.parse(roots) as { owner: unknown; logKey: unknown };
    writeFileSync(at("roots.json"), JSON.stringify({ ...other, owner: other.logKey }));
    await refused("launch.job", "run", "answer");
    writeFileSync(at("roots.json"), roots);
    const pem = readFileSync(at("vault-roots.pem"));
    writeFileSync(at("vault-roots.pem"), Buffer.concat([pem, pem]));
    // One root twice: what is trusted is the same, and the measurement is another.
    await refused("release.denied", "run", "answer");
    writeFileSync(at("vault-roots.pem"), pem);
    writeFileSync(path, signed);
  });

  test("T164: a rolled-back input is below the floor of the signed job, or its result is not accepted", async () => {
    cpSync(at("sealed", "people"), at("old"), { recursive: true });
    await must("data", "seal", "people");
    const latest = at("latest");
    cpSync(at("sealed", "people"), latest, { recursive: true });
    rmSync(at("sealed", "people"), { recursive: true });
    cpSync(at("old"), at("sealed", "people"), { recursive: true });
    // Within the floors of the job that was signed before: it runs, and the owner knows better.
    await must("run", "answer");
    assert.match(
      await refused("receipt.invalid", "data", "accept", "answers"),
      /made from people v1, and v2 is the latest that was accepted/,
    );
    rmSync(at("sealed", "people"), { recursive: true });
    cpSync(latest, at("sealed", "people"), { recursive: true });
    await must("job", "sign", "answer");
    await must("run", "answer");
    rmSync(at("sealed", "people"), { recursive: true });
    cpSync(at("old"), at("sealed", "people"), { recursive: true });
    await refused("open.rolled_back", "run", "answer");
    await must("data", "seal", "people");
    await must("job", "sign", "answer");
  });

  test("T165: what waits is accepted for the job as it is signed, with its own receipt, and for the launcher in force", async () => {
    await must("run", "answer");
    const [last = ""] = stored()
      .filter((name) => name.startsWith("manifest.v"))
      .toReversed();
    const version = Number(/^manifest\.v(\d+)\./.exec(last)?.[1]);
    const receipt = at("sealed", "answers", `v${version}`, "receipt.json");
    const good = readFileSync(receipt, "utf8");
    const envelope = JSON.parse(good) as { receipt: { payload: string } };
    const changed = Buffer.from(envelope.receipt.payload, "base64")
      .toString()
      .replace(/"rows":1/, '"rows":2');
    const forged = {
      ...envelope,
      receipt: { ...envelope.receipt, payload: Buffer.from(changed).toString("base64") },
    };
    // Another result's receipt, one with a changed number, and one that is none.
    for (const [text, said] of [
      [
        readFileSync(at("receipts", "answers-v1.receipt.json"), "utf8"),
        /none that is signed here|not_found|holds no/,
      ],
      [JSON.stringify(forged), /signature/],
      ["{}", /receipt file/],
    ] as const) {
      writeFileSync(receipt, text);
      assert.match(await refused("receipt.invalid", "data", "accept", "answers"), said);
    }
    writeFileSync(receipt, good);
    // Junk far above it is nobody's version.
    writeFileSync(at("sealed", "answers", `manifest.v2147483646.${"0".repeat(64)}.json`), "{}");
    // The job, signed anew: this result was made by another.
    writeFileSync(at("answer.sql"), "SELECT count(*) AS n FROM people");
    await must("job", "sign", "answer");
    assert.match(
      await refused("receipt.invalid", "data", "accept", "answers"),
      /none that is signed here: run the job as it is signed now/,
    );
    await must("run", "answer");
    await must("data", "accept", "answers");
    assert.match((await must("data", "open", "answers")).stdout, /1000/);
    // Another launcher than the policy in force names.
    await must("run", "answer");
    const policy = readFileSync(at("policies", "direct.json"), "utf8");
    writeFileSync(
      at("policies", "direct.json"),
      policy.replaceAll(/[0-9a-f]{96}/g, "ab".repeat(48)),
    );
    await must("policy", "apply", "direct");
    assert.match(await refused("receipt.invalid", "data", "accept", "answers"), /appraisal/);
    writeFileSync(at("policies", "direct.json"), policy);
    await must("policy", "apply", "direct");
    await must("data", "accept", "answers");
  });

  test("T177: the store cannot have the vault's token sent to a vault of its own", async () => {
    const path = at("sealed", "people", "manifest.json");
    const kept = readFileSync(path, "utf8");
    const envelope = JSON.parse(kept) as { payload: string };
    const payload = Buffer.from(envelope.payload, "base64").toString();
    const foreign = payload.replaceAll(
      "https://ppmlkv.vault.azure.net",
      "https://evil.vault.azure.net",
    );
    writeFileSync(
      path,
      JSON.stringify({ ...envelope, payload: Buffer.from(foreign).toString("base64") }),
    );
    // Refused for its signature, before Azure is asked for anything.
    const run = await project.ppml("run", "answer");
    assert.equal(run.code, 1);
    assert.match(run.stderr, /code: +format\.signature/);
    assert.doesNotMatch(run.stderr, /made a token/);
    writeFileSync(path, kept);
  });

  test("an acceptance that was cut off is taken up, and what comes too late for its version is passed over", async () => {
    await must("run", "answer");
    const waiting = stored().filter((name) => /^manifest\.v\d{1,4}\./.test(name));
    const [name = ""] = waiting.toReversed();
    const version = /^manifest\.v(\d+)\./.exec(name)?.[1] ?? "";
    // As a kill leaves it between the owner's signature and the broker's answer.
    const path = at("sealed", "answers", name);
    const { payload } = JSON.parse(readFileSync(path, "utf8")) as { payload: string };
    using root = await loadRootKeyFile({ path: at(".ppml", "root.key") });
    const owner = await loadSigningKey({ path: at(".ppml", "owner.key"), root, purpose: "owner" });
    const manifest: unknown = JSON.parse(Buffer.from(payload, "base64").toString());
    writeFileSync(path, JSON.stringify(signObject("manifest", manifest, owner)));
    const receipt = readFileSync(at("sealed", "answers", `v${version}`, "receipt.json"));
    await must("data", "accept", "answers");
    writeFileSync(at("sealed", "answers", `v${version}`, "receipt.json"), receipt);
    writeFileSync(at("sealed", "answers", `v${version}`, "answer-00000000.parquet"), "late");
    assert.match((await must("data", "open", "answers")).stdout, new RegExp(`answers v${version}`));
  });

  test("a KEK that was rotated after the sealing is released in the version that the data are sealed for", async () => {
    await must("key", "rotate", "pay");
    await must("run", "answer");
    await must("data", "accept", "answers");
  });

  test("a job with a broker is refused by it, and one without is never given one", async () => {
    const yaml = readFileSync(at("ppml.yaml"), "utf8");
    writeFileSync(at("ppml.yaml"), yaml.replace("    release: direct\n", ""));
    assert.match(await refused("launch.job", "run", "answer"), /manifest floors of its own/);
    writeFileSync(
      at("ppml.yaml"),
      yaml
        .replace("output: answers", "output: others")
        .replace(
          "policies:",
          "  others: { store: sealed/others, groups: [{ name: all, kek: results }] }\npolicies:",
        ),
    );
    assert.match(await refused("launch.job", "run", "answer"), /signed for the output answers/);
    assert.match(
      await refused("launch.job", "data", "accept", "others"),
      /signed for another output than others/,
    );
    writeFileSync(at("ppml.yaml"), yaml);
    const flags = ["--broker", "https://localhost:1", "--broker-key", "00".repeat(32)];
    const usage = await project.ppml("run", "answer", ...flags);
    assert.equal(usage.code, 2);
    assert.match(usage.stderr, /release direct: it is given no broker/);
  });
});
