import { unprotectedClaims } from "../attest/appraise/baseline.ts";
import { listRules, namesNode } from "../attest/appraise/policy.ts";
import { isSharedProvider } from "../attest/verify/maa-providers.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import type { Mode } from "../format/kek.ts";
import { namesBootLoaderOnly, openIdentity } from "./open-identity.ts";
import { issuerOf } from "./policy.ts";
import type { PolicyFile } from "./policy.ts";
import { DEPRECATED_CLAIMS } from "./skr/emit-skr.ts";
import { claimConditions, operatorOf } from "../format/skr/skr-policy.ts";
import type { SkrPolicy } from "../format/skr/skr-policy.ts";

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
  const isNode = policy.appraisal !== null && namesNode(policy.appraisal);
  if (policy.release !== null) checkRelease(policy.release, mode, say);
  if (policy.jobs !== null) {
    checkJobs(policy.jobs, say);
    checkCode(policy.jobs.codeDigests, { mode, isNode, say });
  }
  return findings;
}

function checkWhole(policy: PolicyFile, say: Say): void {
  if (policy.jobs === null && policy.ownerOpen.length === 0 && policy.resources.length === 0)
    say(
      "error",
      "ownerOpen",
      "nobody can use this policy: approve jobs, list resources, or name who may open",
    );
  if (policy.grants.length === 0)
    say("warning", "grants", "no KEK is granted, so nothing will ever be released");
  for (const kekId of policy.grants)
    // Of another vault's KEKs the form is not known here.
    if (kekId.startsWith("embedded:") && !/^embedded:[0-9a-f]{16}\/[^/]+$/.test(kekId))
      say(
        "error",
        "grants",
        `${kekId} is no KEK of an embedded vault, so it would never be released: \`ppml key show NAME\` has the id`,
      );
  requireUnique(policy.grants, "grants", say);
  requireUnique(policy.resources, "resources", say);
  requireUnique(thumbprintsOf(policy.ownerOpen), "ownerOpen", say);
  if (policy.resources.length === 0) return;
  if (policy.jobs !== null || policy.ownerOpen.length > 0)
    say(
      "warning",
      "resources",
      "the grants hold for jobs, owners and resources alike: give resources a policy and a KEK of their own",
    );
  if (policy.appraisal !== null && namesNode(policy.appraisal))
    say(
      "warning",
      "resources",
      "whoever administers the cluster decides who gets these resources: the Evidence names the node only",
    );
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
  if (mode === "production")
    for (const claim of unprotectedClaims(appraisal))
      say(
        "warning",
        `appraisal.${claim}`,
        "a TEE is accepted that its host may profile, move or interrupt at will, which is refused where there is no policy: demand what keeps the host out, or know why not",
      );
  for (const [claim, rule] of listRules(appraisal))
    if (typeof rule === "object" && ("oneOf" in rule || "only" in rule))
      requireUnique("oneOf" in rule ? rule.oneOf : rule.only, `appraisal.${claim}`, say);
  const labels = appraisal.references.map(({ label }) => label);
  requireUnique(labels, "appraisal.references", say);
  if (namesBootLoaderOnly(appraisal))
    say(
      "warning",
      "appraisal.pcrs.4",
      "PCR 4 alone names shim and boot loader, which all VMs of a distribution share: give PCR 8, 9, 11 or 12 a rule too, unless the firmware starts your unified kernel image itself",
    );
  const open = openIdentity(appraisal);
  if (mode === "production" && open !== null)
    say(
      "error",
      `appraisal.${open[0]}`,
      `production needs the workload's identity, and neither "any", nor a minimum, nor zeros, which a register has that nobody wrote, names one: give ${open.length === 1 ? "" : "one of "}${open.join(", ")} a rule whose values are the workload's`,
    );
  if ("policyHash" in appraisal && appraisal.policyHash === "any") {
    const issuers =
      "equals" in appraisal.issuer ? [appraisal.issuer.equals] : appraisal.issuer.oneOf;
    for (const issuer of issuers.filter((one) => !isSharedProvider(one)))
      say(
        mode === "production" ? "error" : "warning",
        "appraisal.policyHash",
        `${issuer} is not one of Azure's shared providers: its owner can change its policy, so pin the policy's hash`,
      );
  }
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

/** A node's Evidence does not say which code its pods run: a list would promise what nobody checks. */
function checkCode(
  digests: NonNullable<PolicyFile["jobs"]>["codeDigests"],
  options: { readonly mode: Mode; readonly isNode: boolean; readonly say: Say },
): void {
  const { mode, isNode, say } = options;
  if (digests !== "any") {
    requireUnique(digests, "jobs.codeDigests", say);
    if (isNode)
      say(
        "error",
        "jobs.codeDigests",
        "a node's Evidence does not name the pod that asks, so this list would bind nobody: write \"any\" and know that the cluster's administrators are trusted, or use a TEE whose Evidence names the workload",
      );
    return;
  }
  say(
    mode === "production" && !isNode ? "error" : "warning",
    "jobs.codeDigests",
    isNode
      ? "whoever administers the cluster decides which code gets these keys: the Evidence names the node only"
      : "every query and program that a named signer writes may read the granted keys' data: list digests",
  );
}

function checkJobs(jobs: NonNullable<PolicyFile["jobs"]>, say: Say): void {
  const lists = {
    signers: jobs.signers.length,
    codeDigests: jobs.codeDigests.length,
    purposes: jobs.purposes.length,
    outputKeks: jobs.outputKeks.length,
  };
  for (const [name, length] of Object.entries(lists))
    if (length === 0) say("warning", `jobs.${name}`, "the list is empty, so no job is approved");
  requireUnique(thumbprintsOf(jobs.signers), "jobs.signers", say);
  requireUnique(jobs.purposes, "jobs.purposes", say);
  requireUnique(jobs.outputKeks, "jobs.outputKeks", say);
}

function thumbprintsOf(keys: PolicyFile["ownerOpen"]): string[] {
  return keys.map((key) => (typeof key === "string" ? key : jwkThumbprint(key)));
}

function requireUnique(values: readonly (string | number)[], path: string, say: Say): void {
  if (new Set(values).size !== values.length) say("warning", path, "a value is listed twice");
}
