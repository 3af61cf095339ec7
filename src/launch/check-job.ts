import { PpmlError, fromTimestamp, sha256, toHex, utf8 } from "../base/index.ts";
import { jobSchema } from "../format/job.ts";
import type { Job } from "../format/job.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import { verifyObject } from "../format/signed-object.ts";
import type { VerifiedObject } from "../format/signed-object.ts";
import type { LaunchRequest } from "./messages.ts";

/** All texts of a job together: they go to the worker in one frame. */
const MAX_CODE_CHARACTERS = 4_000_000;

/** Variables that change what runs before the program's first line: no job may have them. */
const LOADER_VARIABLES =
  /^(?:LD_|DYLD_|NODE_|JAVA_TOOL_OPTIONS$|_?JAVA_OPTIONS$|JDK_JAVA_OPTIONS$|PYTHON|GCONV_PATH$|GLIBC_TUNABLES$|MALLOC_|BASH_ENV$|ENV$|IFS$|PATH$)/;

/**
 * Checks the signed job against what the host gave to run: signature, expiry, code, environment and
 * output key. Whether the signer may run jobs at all is the broker's decision, by policy.
 * @throws launch.job, launch.environment, format.signature, format.expired
 */
export function checkJob(request: LaunchRequest, nowMs: number): VerifiedObject<Job> {
  const verified = verifyObject({
    kind: "job",
    schema: jobSchema,
    envelope: request.job,
    signers: [request.jobSigner],
  });
  const job = verified.payload;
  if (nowMs >= fromTimestamp(job.expiresAt))
    throw new PpmlError(
      "format.expired",
      `the job ${job.name} expired at ${job.expiresAt}: sign it again with 'ppml job sign ${job.name}'`,
    );
  checkCode(job, request.code);
  checkEnvironment(job);
  const thumbprint = jwkThumbprint(request.output.kek.jwk);
  if (thumbprint !== job.output.kekThumbprint || request.output.kek.kekId !== job.output.kekId)
    throw new PpmlError(
      "launch.job",
      `the job seals its result for key ${job.output.kekThumbprint} of ${job.output.kekId}, ` +
        `the host offers ${thumbprint} of ${request.output.kek.kekId}: another output key needs a newly signed job`,
      { detail: { expected: job.output.kekThumbprint, actual: thumbprint } },
    );
  const inputNames = job.inputs.map((input) => input.name);
  if (new Set(inputNames).size !== inputNames.length)
    throw new PpmlError("launch.job", `the job ${job.name} names an input twice`);
  return verified;
}

function checkCode(job: Job, texts: readonly string[]): void {
  if (job.code.length !== texts.length)
    throw new PpmlError(
      "launch.job",
      `the job ${job.name} was signed with ${count(job.code)}, the host gives ${count(texts)}: restore them, or have them approved and sign the job again`,
    );
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  if (characters > MAX_CODE_CHARACTERS)
    throw new PpmlError(
      "launch.job",
      `the job's queries have ${characters} characters together, expected at most ${MAX_CODE_CHARACTERS}: make two jobs of it`,
    );
  for (const [at, { name, sha256: expected }] of job.code.entries()) {
    const actual = toHex(sha256(utf8(texts[at] ?? "")));
    if (actual === expected) continue;
    throw new PpmlError(
      "launch.job",
      `the query ${name} is not the one that was signed: SHA-256 ${actual.slice(0, 16)}… instead of ${expected.slice(0, 16)}…: ` +
        `restore it, or have it approved and sign the job again`,
      { detail: { query: name, expected, actual } },
    );
  }
}

function count(list: readonly unknown[]): string {
  return list.length === 1 ? "one query" : `${list.length} queries`;
}

function checkEnvironment(job: Job): void {
  const refused = job.environment.find((name) => LOADER_VARIABLES.test(name));
  if (refused !== undefined)
    throw new PpmlError(
      "launch.environment",
      `the job's environment lists ${refused}, which changes what runs: take it out and sign the job again`,
    );
}

/** The flags that the measured command line has: docs/attestation.md. */
const LAUNCHER_FLAGS = new Set(["--disable-warning=ExperimentalWarning", "--disable-sigusr1"]);

/**
 * Refuses a launcher that was itself started with variables or flags that change what runs.
 * @throws launch.environment
 */
export function checkOwnStart(environment: NodeJS.ProcessEnv, execArgv: readonly string[]): void {
  const variable = Object.keys(environment).find(
    (name) => name !== "PATH" && LOADER_VARIABLES.test(name),
  );
  const flag = execArgv.find((arg) => !LAUNCHER_FLAGS.has(arg));
  const found = variable ?? flag;
  if (found !== undefined)
    throw new PpmlError(
      "launch.environment",
      `the launcher was started with ${found}: it starts only with a clean environment and command line`,
    );
}
