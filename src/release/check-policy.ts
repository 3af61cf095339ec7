import type { Mode } from "../format/kek.ts";
import { issuerOf } from "./policy.ts";
import type { PolicyFile } from "./policy.ts";
import { DEPRECATED_CLAIMS } from "./skr/emit-skr.ts";
import { claimConditions, operatorOf } from "./skr/skr-policy.ts";
import type { SkrPolicy } from "./skr/skr-policy.ts";

/** What is wrong with a policy, or worth knowing; an error keeps it from being put in force. */
export type PolicyFinding = {
  readonly severity: "error" | "warning";
  /** The member that it is about. */
  readonly path: string;
  /** What is wrong and what to do. */
  readonly message: string;
};

type Say = (severity: PolicyFinding["severity"], path: string, message: string) => void;

/** Checks what a schema cannot say, for a vault of `mode`; no errors: it may be put in force. */
export function checkPolicy(policy: PolicyFile, mode: Mode): PolicyFinding[] {
  const findings: PolicyFinding[] = [];
  const say: Say = (severity, path, message) => {
    findings.push({ severity, path, message });
  };
  checkWhole(policy, say);
  if (policy.appraisal !== null) checkAppraisal(policy.appraisal, mode, say);
  if (policy.release !== null) checkRelease(policy.release, mode, say);
  if (policy.jobs !== null) checkJobs(policy.jobs, mode, say);
  return findings;
}

function checkWhole(policy: PolicyFile, say: Say): void {
  if (policy.jobs === null && policy.ownerOpen.length === 0)
    say("error", "ownerOpen", "nobody can use this policy: approve jobs, or name who may open");
  if (policy.grants.length === 0)
    say("warning", "grants", "no KEK is granted, so nothing will ever be released");
  requireUnique(policy.grants, "grants", say);
}

function checkAppraisal(
  appraisal: NonNullable<PolicyFile["appraisal"]>,
  mode: Mode,
  say: Say,
): void {
  if (mode === "production" && appraisal.tee.startsWith("sim-"))
    say(
      "error",
      "appraisal.tee",
      `${appraisal.tee} is simulated, and this vault is for production: name a hardware TEE`,
    );
  if (appraisal.debug === "any" || appraisal.debug.equals)
    say(
      mode === "production" ? "error" : "warning",
      "appraisal.debug",
      "a TEE that can be debugged keeps nothing secret from its host: demand false",
    );
}

function checkRelease(release: SkrPolicy, mode: Mode, say: Say): void {
  const issuer = issuerOf(mode);
  if (!release.anyOf.some((entry) => entry.authority === issuer))
    say(
      "error",
      "release.anyOf",
      `no entry has the authority ${issuer}, so this vault would never release: add one`,
    );
  for (const condition of claimConditions(release)) {
    const { operator, expected } = operatorOf(condition);
    if (operator === "exists" && expected === false)
      say(
        "warning",
        "release",
        `${condition.claim}: exists false is never met, for a missing claim meets no condition`,
      );
    if (DEPRECATED_CLAIMS.has(condition.claim))
      say("warning", "release", `the claim ${condition.claim} is deprecated: use its newer name`);
  }
}

function checkJobs(jobs: NonNullable<PolicyFile["jobs"]>, mode: Mode, say: Say): void {
  if (jobs.codeDigests === "any")
    say(
      mode === "production" ? "error" : "warning",
      "jobs.codeDigests",
      "every query and program that a named signer writes may read the granted keys' data: list digests",
    );
  else requireUnique(jobs.codeDigests, "jobs.codeDigests", say);
  const lists = {
    signers: jobs.signers.length,
    codeDigests: jobs.codeDigests.length,
    purposes: jobs.purposes.length,
    outputKeks: jobs.outputKeks.length,
  };
  for (const [name, length] of Object.entries(lists))
    if (length === 0) say("warning", `jobs.${name}`, "the list is empty, so no job is approved");
}

function requireUnique(values: readonly string[], path: string, say: Say): void {
  if (new Set(values).size !== values.length) say("warning", path, "a value is listed twice");
}
