import { PpmlError } from "../base/index.ts";
import type { AttestationResult } from "../attest/appraise/appraise.ts";
import { maaClaims, maaClaimsOfReport } from "../attest/appraise/claims.ts";
import type { Mode } from "../format/kek.ts";
import type { JsonObject } from "../attest/evidence/maa-evidence.ts";
import type { Policy } from "./policy.ts";
import { issuerOf } from "./policy.ts";
import { evaluateSkr } from "./skr/evaluate-skr.ts";

/** The parts of a policy that speak of attestation. */
export type AttestationRules = {
  readonly appraisal: NonNullable<Policy["appraisal"]>;
  readonly release: NonNullable<Policy["release"]>;
};

/**
 * Refuses an Attestation Result that was not accepted, one that says SIMULATED where only hardware
 * counts, and claims that do not meet the policy's Secure Key Release part.
 * @throws attest.simulated release.denied
 */
export function checkAttestation(options: {
  readonly result: AttestationResult;
  /** What the Evidence binds; null where the result's report data are all that is known of it. */
  readonly runtimeData: JsonObject | null;
  readonly rules: AttestationRules;
  readonly mode: Mode;
}): void {
  const { result, mode } = options;
  if (result.data.simulated && mode !== "simulation")
    throw new PpmlError(
      "attest.simulated",
      "the Evidence is simulated and this vault is for production: run the job in a hardware TEE",
    );
  const failed = result.data.outcomes.filter(
    ({ outcome }) => outcome === "not-met" || outcome === "missing",
  );
  if (!result.data.accepted || failed.length > 0) {
    const reasons = failed.map(
      ({ claim, outcome, expected, actual, remedy }) =>
        `${claim} is ${outcome === "missing" ? "missing" : String(actual)}, the policy wants ${String(expected)}. ${remedy ?? ""}`,
    );
    throw new PpmlError(
      "release.denied",
      `the Evidence does not meet the policy's appraisal: ${reasons.join(" ").trim()}`,
      { detail: { outcomes: failed } },
    );
  }
  checkReleasePolicy(options);
}

/** Refuses a list of code where the Evidence names the node only: it would bind nobody. @throws release.denied */
export function checkNamesPod(
  result: AttestationResult,
  codeDigests: NonNullable<Policy["jobs"]>["codeDigests"],
): void {
  if (result.data.profile === "snp-node" && codeDigests !== "any")
    throw new PpmlError(
      "release.denied",
      "the Evidence is a node's and does not name the pod that asks, and the policy lists code: run the job in a TEE whose Evidence names the workload, or write \"any\" for codeDigests and trust the cluster's administrators",
    );
}

function checkReleasePolicy(options: Parameters<typeof checkAttestation>[0]): void {
  const authority = issuerOf(options.mode);
  const { result, runtimeData } = options;
  const evidence = result.verified;
  const claims =
    runtimeData === null
      ? maaClaimsOfReport({ evidence, reportData: result.reportData })
      : maaClaims({ evidence, runtimeData });
  const { met, authorityNamed, outcomes } = evaluateSkr(options.rules.release, {
    authority,
    claims,
  });
  if (met) return;
  if (!authorityNamed)
    throw new PpmlError(
      "release.denied",
      `the release policy names no authority ${authority}: add an entry for it and apply the policy`,
      { detail: { authority } },
    );
  const failed = outcomes.filter((outcome) => !outcome.met);
  const reasons = failed.map(
    ({ claim, operator, expected, actual, reason }) =>
      `${claim} ${operator} ${String(expected)} is not met by ${String(actual)}${reason === null ? "" : ` (${reason})`}`,
  );
  throw new PpmlError(
    "release.denied",
    `the claims do not meet the release policy: ${reasons.join("; ")}. Run what the policy expects, or change its conditions and apply it`,
    { detail: { outcomes: failed } },
  );
}
