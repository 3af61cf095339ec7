import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { appraise } from "../../src/attest/appraise/appraise.ts";
import { boundData } from "../../src/attest/appraise/binding.ts";
import type { AppraisalPolicy } from "../../src/attest/appraise/policy.ts";
import { attestSimDcap } from "../../src/attest/sim/dcap-platform.ts";
import { simSgxReport, simTdReport } from "../../src/attest/sim/dcap-quote.ts";
import { toBase64Url, toHex } from "../../src/base/index.ts";
import type { BrokerIdentity } from "../../src/broker/database.ts";
import { verifyFor } from "../../src/broker/verify-evidence.ts";
import type { WireEvidence } from "../../src/format/protocol.ts";
import { checkAttestation } from "../../src/release/check-attestation.ts";
import { issuerOf } from "../../src/release/index.ts";
import type { PolicyFile, SkrPolicy } from "../../src/release/index.ts";
import { parsedPolicy } from "../attest/appraise/open-policy.ts";
import { NOW_MS as DCAP_NOW_MS, pki as dcapPki } from "../attest/dcap-fixture.ts";
import { measurement, NOW_MS, pki, wire as snp } from "../attest/fixture.ts";
import { newSigningKey } from "../broker/fixture.ts";
import { ppml, runInProcess } from "./ppml.ts";
import type { Run } from "./ppml.ts";

const MR = new Uint8Array(32).fill(0xa1);
const reportData = new Uint8Array(64).fill(0xb2);
const owner = newSigningKey();
let folder: string;
let project: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ppml dry run "));
  project = join(folder, "project");
  mkdirSync(project);
  const made = await ppml(["init", ".", "--template", "empty", "--name", "test"], { cwd: project });
  assert.equal(made.code, 0, made.stderr);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const quoteOf = (quote: Parameters<typeof attestSimDcap>[1]["quote"]): WireEvidence =>
  attestSimDcap(dcapPki, { quote, nowMs: DCAP_NOW_MS });

/** Evidence of each kind that a simulation makes, its root, and a policy's claim of its workload. */
const KINDS = [
  {
    evidence: snp,
    root: pki.ark,
    claim: ["measurement", "x-ms-sevsnpvm-launchmeasurement", toHex(measurement)],
  },
  {
    evidence: quoteOf({
      tee: "sgx",
      version: 3,
      body: simSgxReport({ mrEnclave: MR, reportData }),
    }),
    root: dcapPki.certificates.root,
    claim: ["mrEnclave", "x-ms-sgx-mrenclave", toHex(MR)],
  },
  {
    evidence: quoteOf({
      tee: "tdx",
      version: 4,
      body: simTdReport("td10", { mrTd: measurement, reportData }),
    }),
    root: dcapPki.certificates.root,
    claim: ["mrTd", "tdx_mrtd", toHex(measurement)],
  },
] as const;

const releaseOf = (claim: string, equals: string): SkrPolicy => ({
  version: "1.0.0",
  anyOf: [{ authority: issuerOf("simulation"), allOf: [{ claim, equals }] }],
});

function policyOf(appraisal: AppraisalPolicy, release: SkrPolicy): PolicyFile {
  const jobs = {
    signers: [owner.publicJwk],
    codeDigests: ["ab".repeat(32)],
    purposes: ["a test"],
    outputKeks: [owner.keyId],
  };
  const open = { resources: [], grants: ["kek:a"], ownerOpen: [] };
  return { v: 1, name: "analysis", appraisal, release, jobs, ...open };
}

/** What a simulation's broker says of it: null where it releases. */
async function brokerRefuses(
  evidence: WireEvidence,
  options: { readonly root: Uint8Array; readonly policy: PolicyFile },
): Promise<string | null> {
  const { root, policy } = options;
  const identity = { mode: "simulation", simulationRoot: toBase64Url(root) } as BrokerIdentity;
  const roots = { identity, maaProviders: () => Promise.resolve([]) };
  const verified = await verifyFor(roots, evidence, NOW_MS);
  const { appraisal, release } = policy;
  assert.ok(appraisal !== null && release !== null);
  const bound = boundData(verified.evidence);
  const result = appraise({
    evidence: verified,
    policy: appraisal,
    reportData: bound,
    nowMs: NOW_MS,
  });
  try {
    const rules = { appraisal, release };
    checkAttestation({ result, runtimeData: null, rules, mode: "simulation" });
    return null;
  } catch (error) {
    return String(Reflect.get(Object(error), "code"));
  }
}

const at = (): readonly string[] => ["--project", project, "--at", String(NOW_MS / 1000)];
const write = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
};
const codeOf = ({ stdout }: Run): string | null => {
  const answer = JSON.parse(stdout) as { outcomes: { refusal: { code: string } | null }[] };
  return answer.outcomes[0]?.refusal?.code ?? null;
};

for (const { evidence, root, claim } of KINDS)
  test(`dry-run says of ${evidence.type} what a broker decides`, async () => {
    const [name, skrName, value] = claim;
    const other = value.replaceAll("a1", "c3");
    const pinned = join(project, "roots.json");
    const roots = JSON.parse(readFileSync(pinned, "utf8")) as object;
    writeFileSync(pinned, JSON.stringify({ ...roots, simulationRoot: toBase64Url(root) }));
    const file = write("evidence.json", evidence);
    const appraisal = (equals: string) => parsedPolicy(evidence.type, { [name]: { equals } });
    const cases = [
      [null, appraisal(value), releaseOf(skrName, value)],
      ["release.denied", appraisal(other), releaseOf(skrName, value)],
      ["release.denied", appraisal(value), releaseOf(skrName, other)],
    ] as const;
    for (const [expected, judging, release] of cases) {
      const policy = policyOf(judging, release);
      assert.equal(await brokerRefuses(evidence, { root, policy }), expected);
      const path = write("policy.json", policy);
      const run = await runInProcess(["policy", "dry-run", path, file, "--json", ...at()]);
      assert.equal(codeOf(run), expected, run.stdout);
      assert.equal(run.code, expected === null ? 0 : 1);
    }
    const { stdout } = await runInProcess([
      "policy",
      "dry-run",
      write("policy.json", policyOf(appraisal(value), releaseOf(skrName, other))),
      file,
      ...at(),
    ]);
    assert.match(stdout, new RegExp(`REFUSES[^]*${skrName} equals c3[^]*->`));
    const alone = write("alone.json", appraisal(value));
    const verified = await runInProcess(["attest", "verify", file, "--policy", alone, ...at()]);
    assert.equal(verified.code, 0, verified.stdout);
  });
