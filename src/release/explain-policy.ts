import type { ReferenceSet } from "../attest/appraise/rules.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import type { PolicyFile } from "./policy.ts";
import { operatorOf } from "../format/skr/skr-policy.ts";
import type { SkrCondition } from "../format/skr/skr-policy.ts";

/** Says in plain words, a line each, who gets which keys when: for a security officer. */
export function explainPolicy(policy: PolicyFile): string[] {
  return [
    `Policy ${policy.name} decides about ${count(policy.grants.length, "KEK")}:`,
    ...policy.grants.map((kekId) => `  ${kekId}`),
    ...explainJobs(policy),
    ...explainResources(policy),
    ...explainOwners(policy),
    "Everything else is refused, and each refusal is written to the log.",
  ];
}

function explainJobs(policy: PolicyFile): string[] {
  const { appraisal, jobs, release } = policy;
  if (appraisal === null || jobs === null || release === null) return ["No job gets these keys."];
  const code =
    jobs.codeDigests === "any"
      ? "any code (the signers alone decide what runs)"
      : `only code whose SHA-256 is ${list(jobs.codeDigests)}`;
  return [
    "A job gets them if all of this holds:",
    `  it is signed by ${list(jobs.signers.map((jwk) => jwkThumbprint(jwk)))}`,
    `  it runs ${code}`,
    `  its purpose is ${list(jobs.purposes.map((purpose) => JSON.stringify(purpose)))}`,
    `  its result is sealed for the KEK version with the thumbprint ${list(jobs.outputKeks)} (see ppml key show)`,
    `  it runs in a TEE of the kind ${appraisal.tee}, whose Evidence was made for this job and this moment, and says:`,
    ...explainEvidence(appraisal, release),
  ];
}

function explainResources(policy: PolicyFile): string[] {
  const { appraisal, release, resources } = policy;
  if (appraisal === null || release === null || resources.length === 0) return [];
  return [
    `The resources ${list(resources)}, sealed for these KEKs, go to every guest that attests, whatever it runs for, if all of this holds:`,
    `  it runs in a TEE of the kind ${appraisal.tee}, whose Evidence was made for its own key and this moment, and says:`,
    ...explainEvidence(appraisal, release),
  ];
}

function explainEvidence(
  appraisal: NonNullable<PolicyFile["appraisal"]>,
  release: NonNullable<PolicyFile["release"]>,
): string[] {
  return [
    ...explainAppraisal(appraisal, ""),
    ...appraisal.references.flatMap(explainReference),
    "  and the release policy holds, for one of these issuers:",
    ...release.anyOf.flatMap((entry) => {
      const { authority, ...condition } = entry;
      return [`    ${authority}:`].concat(explainCondition(condition, "      "));
    }),
  ];
}

function explainAppraisal(rules: object, prefix: string): string[] {
  return Object.entries(rules).flatMap(([name, rule]: [string, unknown]) => {
    if (name === "tee" || name === "profile" || name === "references") return [];
    if (rule === "any") return [`    ${prefix}${name}: not looked at`];
    if (rule === "reference") return [`    ${prefix}${name} is that of a reference set`];
    if (typeof rule !== "object" || rule === null) return [];
    if ("equals" in rule) return [`    ${prefix}${name} is ${String(rule.equals)}`];
    if ("atLeast" in rule) return [`    ${prefix}${name} is at least ${String(rule.atLeast)}`];
    if ("oneOf" in rule && Array.isArray(rule.oneOf))
      return [`    ${prefix}${name} is ${list(rule.oneOf.map(String))}`];
    if ("only" in rule && Array.isArray(rule.only))
      return [`    ${prefix}${name} holds nothing but ${list(rule.only.map(String))}`];
    return explainAppraisal(rule, `${prefix}${name}.`);
  });
}

function explainReference(set: ReferenceSet): string[] {
  const state = set.state === "staged" ? "staged, not accepted yet" : "accepted";
  const until = set.expiresAt === null ? "" : `, until ${set.expiresAt}`;
  return [
    `    reference set ${JSON.stringify(set.label)} (${state}${until}):`,
    ...Object.entries(set.values).map(([claim, value]) => `      ${claim} is ${value}`),
  ];
}

function explainCondition(condition: SkrCondition, indent: string): string[] {
  if ("claim" in condition) {
    const { operator, expected } = operatorOf(condition);
    const words = {
      equals: "is",
      notEquals: "is there and is not",
      less: "is less than",
      lessOrEquals: "is at most",
      greater: "is more than",
      greaterOrEquals: "is at least",
      exists: "exists:",
    };
    return [`${indent}${condition.claim} ${words[operator]} ${String(expected)}`];
  }
  const all = "allOf" in condition;
  const parts = "allOf" in condition ? condition.allOf : condition.anyOf;
  return [
    `${indent}${all ? "all" : "at least one"} of:`,
    ...parts.flatMap((part) => explainCondition(part, `${indent}  `)),
  ];
}

function explainOwners(policy: PolicyFile): string[] {
  if (policy.ownerOpen.length === 0) return ["Nobody opens data under these keys in person."];
  const keys = policy.ownerOpen.map((key) => (typeof key === "string" ? key : jwkThumbprint(key)));
  return [`By a signed request of their own, without a TEE, they go to: ${list(keys)}`];
}

function list(values: readonly string[]): string {
  if (values.length === 0) return "(none: never)";
  return values.length === 1 ? `${values[0]}` : `one of ${values.join(", ")}`;
}

function count(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? "" : "s"}`;
}
