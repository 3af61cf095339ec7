import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256, toHex, toTimestamp, utf8 } from "../../src/base/index.ts";
import type { Job } from "../../src/format/job.ts";
import { jwkThumbprint } from "../../src/format/jwk.ts";
import { envelopeDigest, signObject } from "../../src/format/signed-object.ts";
import { checkJob, checkOwnStart } from "../../src/launch/check-job.ts";
import type { LaunchRequest } from "../../src/launch/messages.ts";
import { newSigningKey } from "../broker/fixture.ts";
import { makeTestKek } from "../compute/fixture.ts";

const NOW_MS = Date.UTC(2026, 10, 24, 12);
const SQL = "SELECT count(*) FROM people";
const owner = newSigningKey();
const kek = makeTestKek("vault/results").publicKey;

function jobOf(changes: Partial<Job> = {}): Job {
  return {
    v: 1,
    name: "answer",
    policy: "analysis",
    purpose: "a test",
    engine: { name: "sql", settings: { memoryMiB: 512, timeoutSeconds: 60, threads: 1 } },
    code: [{ kind: "sql", name: "answer", sha256: toHex(sha256(utf8(SQL))) }],
    arguments: [],
    environment: ["TZ"],
    inputs: [{ name: "people", datasetId: "11".repeat(16), columns: ["id"] }],
    output: {
      name: "answers",
      datasetId: "22".repeat(16),
      kekId: kek.kekId,
      kekThumbprint: jwkThumbprint(kek.jwk),
    },
    issuedAt: toTimestamp(NOW_MS - 1000),
    expiresAt: toTimestamp(NOW_MS + 1000),
    ...changes,
  };
}

function requestOf(job: Job = jobOf(), changes: Partial<LaunchRequest> = {}): LaunchRequest {
  return {
    v: 1,
    authority: { socketPath: "/run/ppml/broker.sock" },
    job: signObject("job", job, owner),
    jobSigner: owner.publicJwk,
    code: [SQL],
    inputs: { people: "file:///people" },
    output: { store: "file:///answers", kek },
    ...changes,
  };
}

const refused = (request: LaunchRequest, code: string, nowMs = NOW_MS): void => {
  assert.throws(() => checkJob(request, nowMs), { code });
};

test("the signed job with the query and the output key that it names is taken", () => {
  const request = requestOf();
  assert.equal(checkJob(request, NOW_MS).digest, envelopeDigest(request.job));
});

test("another query than the signed one is refused, by one character too", () => {
  for (const code of [[`${SQL} `], [SQL.toLowerCase()], ["SELECT * FROM people"], [SQL, SQL], []])
    refused(requestOf(jobOf(), { code }), "launch.job");
});

const codeOf = (name: string, text: string) => ({
  kind: "sql" as const,
  name,
  sha256: toHex(sha256(utf8(text))),
});

test("a job of several queries is taken with all of them in their order, and with no other", () => {
  const [daily, weekly] = ["SELECT 1", "SELECT 2"];
  const job = jobOf({ code: [codeOf("daily", daily), codeOf("weekly", weekly)] });
  assert.ok(checkJob(requestOf(job, { code: [daily, weekly] }), NOW_MS));
  for (const code of [[weekly, daily], [daily, daily], [daily], [daily, weekly, daily]])
    refused(requestOf(job, { code }), "launch.job");
  assert.throws(() => checkJob(requestOf(job, { code: [daily, "SELECT 3"] }), NOW_MS), {
    message: /the query weekly is not the one that was signed/,
  });
});

test("a job that names two queries alike, letter case aside, is refused", () => {
  for (const name of ["daily", "Daily"]) {
    const job = jobOf({ code: [codeOf("daily", SQL), codeOf(name, SQL)] });
    refused(requestOf(job, { code: [SQL, SQL] }), "format.invalid");
  }
});

test("a query whose name is no good for a file is refused", () => {
  for (const name of ["", "../x", "a b", "a.sql", "-a", "x".repeat(64)])
    refused(requestOf(jobOf({ code: [codeOf(name, SQL)] })), "format.invalid");
});

test("another output key than the signed one is refused, under the right name too", () => {
  const other = makeTestKek(kek.kekId).publicKey;
  const store = "file:///answers";
  refused(requestOf(jobOf(), { output: { store, kek: other } }), "launch.job");
  const renamed = { ...kek, kekId: "vault/other" };
  refused(requestOf(jobOf(), { output: { store, kek: renamed } }), "launch.job");
});

test("a job is refused from the moment of its expiry on", () => {
  const request = requestOf();
  assert.ok(checkJob(request, NOW_MS + 999));
  refused(request, "format.expired", NOW_MS + 1000);
  refused(request, "format.expired", NOW_MS + 1e9);
});

test("a job that was changed after it was signed, or that another key signed, is refused", () => {
  const { payload } = signObject("job", jobOf({ expiresAt: toTimestamp(NOW_MS + 1e9) }), owner);
  const { job } = requestOf();
  refused(requestOf(jobOf(), { job: { ...job, payload } }), "format.signature");
  refused(requestOf(jobOf(), { jobSigner: newSigningKey().publicJwk }), "format.signature");
});

for (const name of [
  "LD_PRELOAD",
  "LD_LIBRARY_PATH",
  "DYLD_INSERT_LIBRARIES",
  "NODE_OPTIONS",
  "NODE_PATH",
  "JAVA_TOOL_OPTIONS",
  "_JAVA_OPTIONS",
  "JDK_JAVA_OPTIONS",
  "PYTHONPATH",
  "GLIBC_TUNABLES",
  "GCONV_PATH",
  "BASH_ENV",
  "PATH",
])
  test(`a job whose environment lists ${name} is refused`, () => {
    refused(requestOf(jobOf({ environment: ["TZ", name] })), "launch.environment");
  });

test("a launcher that was started with loader variables or other flags does not go on", () => {
  const flags = ["--disable-warning=ExperimentalWarning", "--disable-sigusr1"];
  checkOwnStart({ PATH: "/usr/bin" }, flags);
  for (const name of ["NODE_OPTIONS", "LD_PRELOAD", "NODE_EXTRA_CA_CERTS", "GLIBC_TUNABLES"])
    assert.throws(() => checkOwnStart({ PATH: "/usr/bin", [name]: "x" }, flags), {
      code: "launch.environment",
      message: new RegExp(name),
    });
  for (const flag of ["--inspect", "--require=/tmp/x.js", "--import=data:,", "--expose-gc"])
    assert.throws(() => checkOwnStart({}, [...flags, flag]), {
      code: "launch.environment",
    });
});

test("a job that names an input twice is refused", () => {
  const [input] = jobOf().inputs;
  assert.ok(input);
  refused(requestOf(jobOf({ inputs: [input, input] })), "launch.job");
});
