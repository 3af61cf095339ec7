import { fromTimestamp, PpmlError, sha256, toHex } from "../base/index.ts";
import { encodeJcs } from "../format/jcs.ts";
import type { Job } from "../format/job.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import type { VerifiedObject } from "../format/signed-object.ts";
import type { JobPolicy, Policy } from "./policy.ts";

/**
 * Refuses a job that the policy does not approve: another signer, policy, code, purpose or output
 * KEK, or one past its expiry at `nowMs` (milliseconds since 1970).
 * @throws release.job format.expired
 */
export function checkJob(options: {
  readonly job: VerifiedObject<Job>;
  readonly policy: Policy;
  readonly rules: JobPolicy["jobs"];
  readonly nowMs: number;
}): void {
  const { policy, rules, nowMs } = options;
  const { payload: job, keyId } = options.job;
  const name = policy.name;
  if (job.policy !== name)
    throw notApproved(job, `it names policy ${job.policy}, not ${name}`, "sign it for this policy");
  if (!rules.signers.some((signer) => jwkThumbprint(signer) === keyId))
    throw notApproved(
      job,
      `${keyId} signed it, and policy ${name} names no such signer`,
      "let a named signer sign it, or add this one to jobs.signers and apply the policy",
    );
  // An expiry that is no time must not mean for ever.
  if (!(fromTimestamp(job.expiresAt) > nowMs))
    throw new PpmlError(
      "format.expired",
      `the job ${job.name} expired on ${job.expiresAt}: sign it anew`,
      { detail: { expiresAt: job.expiresAt } },
    );
  if (rules.codeDigests !== "any") {
    const approved = new Set(rules.codeDigests);
    const other = codeDigestsOf(job).find((code) => !approved.has(code.sha256));
    if (other !== undefined)
      throw notApproved(
        job,
        `its ${other.what} has the digest ${other.sha256}, which policy ${name} does not list`,
        "restore what was approved, or add the digest to jobs.codeDigests and apply the policy",
      );
  }
  if (!rules.purposes.includes(job.purpose))
    throw notApproved(
      job,
      `its purpose ${JSON.stringify(job.purpose)} is not one of policy ${name}`,
      "use an approved purpose, or add this one to jobs.purposes and apply the policy",
    );
  if (!rules.outputKeks.includes(job.output.kekThumbprint))
    throw notApproved(
      job,
      `its result would be sealed for ${job.output.kekThumbprint}, which policy ${name} does not list`,
      "seal the result for an approved KEK, or add its thumbprint to jobs.outputKeks and apply the policy",
    );
}

/**
 * What a policy's codeDigests have to list of a job: SHA-256, hex, of each text or file that runs,
 * and of its arguments in JCS form where it has any, for arguments steer code.
 */
export function codeDigestsOf(
  job: Job,
): readonly { readonly what: string; readonly sha256: string }[] {
  const code = job.code.map(({ name, sha256: digest }) => ({
    what: `code ${name}`,
    sha256: digest,
  }));
  if (job.arguments.length === 0) return code;
  return [...code, { what: "arguments", sha256: toHex(sha256(encodeJcs(job.arguments))) }];
}

function notApproved(job: Job, why: string, remedy: string): PpmlError {
  return new PpmlError("release.job", `the job ${job.name} is not approved: ${why}; ${remedy}`, {
    detail: { job: job.name },
  });
}
