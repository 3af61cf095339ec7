import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { z } from "zod";
import { reportRefusal } from "../../src/attest/explain/report.ts";
import { simulationPolicy } from "../../src/attest/appraise/policy.ts";
import { loadSimulationPki } from "../../src/attest/sim/pki.ts";
import { simulatedPlatformOf } from "../../src/attest/sim/platform.ts";
import {
  fromBase64Url,
  PpmlError,
  sha384,
  toBase64Url,
  toHex,
  toTimestamp,
} from "../../src/base/index.ts";
import { encodeJcs } from "../../src/format/jcs.ts";
import { reportDataOf } from "../../src/format/runtime-data.ts";
import { makeResultReceipt, signReceipt } from "../../src/receipt/make-receipt.ts";
import { snpFormReport } from "../../src/attest/sim/snp-form.ts";
import { certificateTable } from "../attest/collect/certificate-table.ts";
import { milan } from "../attest/snp-forms.ts";
import { newTee, runtimeDataOf } from "../broker/fixture.ts";
import { measurement, NOW_MS, signedWire, wire } from "../attest/fixture.ts";
import { ppml, runInProcess } from "./ppml.ts";
import type { Run } from "./ppml.ts";

const reportSchema = z.looseObject({
  verified: z.boolean().optional(),
  kind: z.string().optional(),
  simulated: z.boolean().optional(),
  refusal: z
    .object({ code: z.string(), message: z.string(), remedy: z.string() })
    .nullish()
    .transform((refusal) => refusal ?? { code: "", message: "", remedy: "" }),
  claims: z.record(z.string(), z.unknown()).default({}),
  appraisal: z.object({ outcomes: z.array(z.object({ claim: z.string() })) }).nullish(),
  differences: z.array(z.object({ claim: z.string(), a: z.unknown(), b: z.unknown() })).default([]),
});

let folder: string;
let project: string;
let good: string;
const RUNTIME = { nonce: "n", purpose: "a test" };

const write = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};
const attest = (...args: readonly string[]): Promise<Run> =>
  runInProcess(["attest", ...args, "--project", project]);
const report = (run: Run) => reportSchema.parse(JSON.parse(run.stdout));

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ppml attest "));
  project = join(folder, "project");
  mkdirSync(project);
  const made = await ppml(["init", ".", "--template", "empty", "--name", "test"], { cwd: project });
  assert.equal(made.code, 0, made.stderr);
  const pki = loadSimulationPki(join(project, ".ppml", "sim"));
  const reportData = new Uint8Array(64);
  reportData.set(sha384(encodeJcs(RUNTIME)));
  good = write("good.json", simulatedPlatformOf(pki).attest({ measurement, reportData }));
});
after(() => rmSync(folder, { recursive: true, force: true }));

describe("ppml attest verify", () => {
  test("verifies simulated Evidence under its project's root, and says SIMULATED", async () => {
    const run = await attest("verify", good, "--json");
    assert.equal(run.code, 0, run.stderr);
    const { verified, kind, simulated, refusal, claims } = report(run);
    assert.deepEqual([verified, kind, simulated, refusal.code], [true, "sim-snp", true, ""]);
    assert.equal(claims["measurement"], toHex(measurement));
    const shown = await attest("verify", good);
    assert.match(shown.stdout, /^SIMULATED {2}verified: sim-snp\n$/);
  });

  test("refuses simulated Evidence of another root, with code, message and remedy", async () => {
    const run = await attest(
      "verify",
      write("foreign.json", wire),
      "--at",
      String(NOW_MS / 1000),
      "--json",
    );
    assert.equal(run.code, 1);
    const { verified, refusal } = report(run);
    assert.equal(verified, false);
    assert.equal(refusal.code, "attest.not_verified");
    assert.match(refusal.remedy, /Do not trust this Evidence/);
  });

  test("with a policy it is accepted or refused by its claims, and by what it binds", async () => {
    const policy = write("policy.json", simulationPolicy([toHex(measurement)]));
    const runtime = write("runtime.json", RUNTIME);
    const bound = ["--runtime-data", runtime];
    assert.equal((await attest("verify", good, "--policy", policy, ...bound)).code, 0);
    const other = write("other.json", { ...RUNTIME, nonce: "m" });
    const replayed = await attest(
      "verify",
      good,
      "--policy",
      policy,
      "--runtime-data",
      other,
      "--json",
    );
    assert.equal(replayed.code, 1);
    assert.match(report(replayed).refusal.message, /reportData is/);
    const strict = write("strict.json", simulationPolicy(["00".repeat(48)]));
    const refused = await attest("verify", good, "--policy", strict, "--json");
    assert.equal(refused.code, 1);
    assert.match(report(refused).refusal.message, /measurement is a1a1/);
    assert.match(report(refused).refusal.remedy, /ppml enclave measure/);
  });

  test("attest verify --json has the members of its contract and no other", async () => {
    const policy = write("policy.json", simulationPolicy([toHex(measurement)]));
    const strict = write("strict.json", simulationPolicy(["00".repeat(48)]));
    const bad = write("bad.json", "{}");
    for (const args of [[good], [good, "--policy", policy], [good, "--policy", strict], [bad]]) {
      const { stdout } = await attest("verify", ...args, "--json");
      assert.deepEqual(Object.keys(JSON.parse(stdout) as object), [
        "verified",
        "kind",
        "simulated",
        "tcbStatus",
        "advisoryIds",
        "claims",
        "refusal",
      ]);
    }
  });

  test("without runtime data the appraisal says nothing of what the Evidence binds", async () => {
    const policy = write("policy.json", simulationPolicy([toHex(measurement)]));
    const { appraisal } = report(await attest("explain", good, "--policy", policy, "--json"));
    assert.ok(appraisal);
    assert.equal(
      appraisal.outcomes.some(({ claim }) => claim === "reportData"),
      false,
    );
  });

  test("T144: a genuine TEE that its host can debug is refused without a policy", async () => {
    const pki = loadSimulationPki(join(project, ".ppml", "sim"));
    const { evidence } = signedWire({ policy: 0x3_0000n | (1n << 19n) });
    const bytes = fromBase64Url(evidence);
    assert.ok(bytes.byteLength > 0 && pki.chip);
    const { signReport } = await import("../../src/attest/sim/platform.ts");
    const { parseSnpReport } = await import("../../src/attest/evidence/snp-report.ts");
    const debug = { ...parseSnpReport(bytes), chipId: pki.chip.hwId };
    const base = JSON.parse(readFileSync(good, "utf8")) as typeof wire;
    const signed = Buffer.from(signReport(debug, pki)).toString("base64url");
    const run = await attest(
      "verify",
      write("debug.json", { ...base, evidence: signed }),
      "--json",
    );
    assert.equal(run.code, 1, run.stdout);
    assert.equal(report(run).refusal.code, "attest.unprotected");
  });

  test("an entry of configfs-tsm is read as the folder that it is, with its host's certificates", async () => {
    const entry = join(folder, "tsm entry");
    mkdirSync(entry);
    const { ark, authority, key } = milan.certificates;
    writeFileSync(join(entry, "outblob"), snpFormReport(milan, 5));
    writeFileSync(join(entry, "generation"), "1\n");
    const none = report(await attest("verify", entry, "--json"));
    assert.match(none.refusal.message, /provider cannot be read/);
    writeFileSync(join(entry, "provider"), "sev_guest\n");
    const bare = report(await attest("verify", entry, "--json"));
    assert.deepEqual([bare.kind, bare.refusal.code], ["snp", "attest.collateral"]);
    writeFileSync(join(entry, "auxblob"), certificateTable({ vcek: key, ask: authority, ark }));
    const whole = report(await attest("verify", entry, "--json"));
    assert.deepEqual([whole.kind, whole.refusal.code], ["snp", "attest.not_verified"]);
    // All of it was read: what is wrong is that its root is a simulation's.
    assert.match(whole.refusal.message, /does not hold a pinned root key/);
  });

  test("what is no Evidence, or cannot be read, is one clear refusal", async () => {
    for (const [name, content, code] of [
      ["empty", "", "attest.unsupported"],
      ["garbage", "\u0001\u0002\u0003", "attest.unsupported"],
      ["cut.json", "{", "attest.unsupported"],
      ["other.json", '{"a":1}', "attest.unsupported"],
      ["hello", "hello world, this is no evidence", "attest.unsupported"],
      ["token", "eyJhbGciOiJub25lIn0.e30.", "attest.invalid"],
    ] as const) {
      const run = await attest("verify", write(name, content), "--json");
      assert.equal(run.code, 1, name);
      const { refusal } = report(run);
      assert.equal(refusal.code, code, `${name}: ${refusal.message}`);
      assert.ok(refusal.remedy.length > 20);
    }
    const missing = await attest("verify", join(folder, "none"), "--json");
    assert.match(report(missing).refusal.message, /cannot be read/);
  });
});

test("ppml attest explain says each claim in the standard's words, the chain and the verdict", async () => {
  const policy = write("strict.json", simulationPolicy(["00".repeat(48)]));
  const { stdout, code } = await attest("explain", good, "--policy", policy);
  assert.equal(code, 1);
  for (const expected of [
    /^SIMULATED/,
    /MEASUREMENT +a1a1a1a1\.\.\.a1a1/,
    /POLICY\.DEBUG +false/,
    /REPORTED_TCB\.SNP +23/,
    /Chain\n {2}VCEK PPML SIMULATION - NOT HARDWARE/,
    /NO {2}measurement/,
    /-> Other code, configuration or Node/,
    /REFUSED \(release\.denied\)/,
  ])
    assert.match(stdout, expected);
  for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
});

test("ppml attest explain shows what refused Evidence says, as not verified", async () => {
  const foreign = write("foreign.json", wire);
  const { stdout, code } = await attest("explain", foreign, "--at", String(NOW_MS / 1000));
  assert.equal(code, 1);
  assert.match(
    stdout,
    /Claims, NOT VERIFIED: anybody can have written them\n {2}MEASUREMENT +a1a1/,
  );
  const { claims } = report(await attest("explain", foreign, "--at", "1", "--json"));
  assert.deepEqual(claims, {}, "scripts are given nothing that was not verified");
});

test("ppml attest diff shows the claims that differ, and exits as diff does", async () => {
  const pki = loadSimulationPki(join(project, ".ppml", "sim"));
  const other = new Uint8Array(48).fill(0xc3);
  const reportData = new Uint8Array(64);
  const second = write(
    "second.json",
    simulatedPlatformOf(pki).attest({ measurement: other, reportData }),
  );
  assert.equal((await attest("diff", good, good)).code, 0);
  const run = await attest("diff", good, second, "--json");
  assert.equal(run.code, 1);
  const { differences } = report(run);
  assert.deepEqual(
    differences.map(({ claim }) => claim),
    ["measurement", "reportData"],
  );
  assert.equal(differences[0]?.b, toHex(other));
  const shown = (await attest("diff", good, second)).stdout;
  assert.ok(shown.startsWith(`--- ${good}\n+++ ${second}\nMEASUREMENT\n  - a1a1`), shown);
  assert.match(shown, /\n {2}\+ c3c3[0-9a-f]+\nreportData\n/);
});

test("ppml attest diff says of which of the two its refusal is", async () => {
  const cut = write("cut.json", { ...wire, evidence: wire.evidence.slice(0, 40) });
  const { code, stderr } = await attest("diff", good, cut);
  assert.equal(code, 1);
  assert.ok(stderr.includes(`error: ${cut}: `), stderr);
});

test("a token that is past its time is refused with that time, and the remedy is its issuer's", () => {
  const expired = new PpmlError("attest.not_verified", "the token is past its exp");
  for (const kind of ["maa", "ear"]) {
    const { refusal } = reportRefusal(kind, expired);
    assert.match(refusal?.remedy ?? "", /ask its issuer for a new one/);
    assert.doesNotMatch(refusal?.remedy ?? "", /platform/);
  }
});

test("ppml policy dry-run says which recorded Evidence a changed policy would refuse", async () => {
  const pki = loadSimulationPki(join(project, ".ppml", "sim"));
  const reportData = new Uint8Array(64);
  const other = new Uint8Array(48).fill(0xc3);
  const second = write(
    "second.json",
    simulatedPlatformOf(pki).attest({ measurement: other, reportData }),
  );
  const policy = write("policy.json", simulationPolicy([toHex(measurement)]));
  const run = await runInProcess(["policy", "dry-run", policy, good, second, "--project", project]);
  assert.equal(run.code, 1);
  assert.match(
    run.stdout,
    /accepts {2}.*good\.json\nREFUSES {2}.*second\.json\n.*measurement is c3c3.*\n {11}-> .*ppml enclave measure/,
  );
  assert.match(run.stdout, /1 of 2 would be refused/);
  const both = write("both.json", simulationPolicy([toHex(measurement), toHex(other)]));
  const ok = await runInProcess(["policy", "dry-run", both, good, second, "--project", project]);
  assert.equal(ok.code, 0, ok.stdout);
});

test("ppml policy dry-run judges a receipt at the time of its job, when its certificates held", async (context) => {
  const pki = loadSimulationPki(join(project, ".ppml", "sim"));
  const tee = newTee();
  const runtimeData = runtimeDataOf(tee, toBase64Url(new Uint8Array(32)), "ab".repeat(32));
  const digest = "cd".repeat(32);
  const dataset = {
    name: "result",
    datasetId: "ef".repeat(16),
    version: 1,
    manifestDigest: digest,
  };
  const receipt = makeResultReceipt({
    v: 1,
    mode: "simulation",
    profile: "sim",
    simulated: true,
    job: { name: "count", digest, purpose: "a test", code: [digest] },
    policy: { name: "analysis", digest },
    engine: { name: "sql", version: "1" },
    inputs: [],
    output: { ...dataset, merkleRoot: digest, kekThumbprint: "A".repeat(43), rows: 3 },
    runtimeData,
    evidence: simulatedPlatformOf(pki).attest({
      measurement,
      reportData: reportDataOf(runtimeData),
    }),
    releaseLogIndex: 0,
    startedAt: toTimestamp(Date.now()),
    finishedAt: toTimestamp(Date.now() + 1000),
  });
  const file = write("receipt.json", {
    v: 1,
    receipt: signReceipt(receipt, tee.signing),
    inclusion: null,
  });
  const policy = write("policy.json", simulationPolicy([toHex(measurement)]));
  const dryRun = (...more: readonly string[]) =>
    runInProcess(["policy", "dry-run", policy, file, "--project", project, ...more]);
  // The chip's certificate is over after seven years.
  const later = Date.now() + 8 * 365 * 86_400_000;
  context.mock.timers.enable({ apis: ["Date"], now: later });
  const { code, stdout } = await dryRun();
  assert.equal(code, 0, stdout);
  const refused = await dryRun("--at", String(Math.floor(later / 1000)));
  assert.match(refused.stdout, /REFUSES[^]*certificate/);
  assert.equal(refused.code, 1);
});
