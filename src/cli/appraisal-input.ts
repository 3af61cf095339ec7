import { lstatSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { appraisalPolicySchema, referenceFileOf } from "../attest/index.ts";
import type { AppraisalPolicy } from "../attest/index.ts";
import { PpmlError, readBoundedFile } from "../base/index.ts";
import { encodeJcs, parseJson } from "../format/jcs.ts";
import { parseWith } from "../format/schema.ts";
import { parsePolicyFile } from "../release/index.ts";
import type { PolicyFile, SkrPolicy } from "../release/index.ts";
import { loadProject } from "./config/load.ts";
import type { CliContext } from "./context.ts";
import { loadPolicyFile, MAX_POLICY_BYTES, parsePolicyJson } from "./policy-file.ts";
import { resolveReferences } from "./reference-file.ts";

const MAX_RUNTIME_DATA_BYTES = 1024 * 1024;

/** What a policy asks of Evidence, and of what the Evidence claims. */
export type EvidenceRules = {
  readonly appraisal: AppraisalPolicy;
  /** Null where only an appraisal was given. */
  readonly release: SkrPolicy | null;
  /** Null where no jobs are approved, or only an appraisal was given. */
  readonly codeDigests: NonNullable<PolicyFile["jobs"]>["codeDigests"] | null;
};

type Named = { readonly policy: string; readonly project: string | undefined };

/**
 * The appraisal policy that an argument names: the file of a whole policy or of its `appraisal` alone,
 * or a policy of ppml.yaml by its name.
 * @throws release.policy
 */
export async function loadAppraisal(context: CliContext, options: Named): Promise<AppraisalPolicy> {
  return (await loadEvidenceRules(context, options)).appraisal;
}

/**
 * All that the policy asks which an argument names, as for `loadAppraisal`.
 * @throws release.policy
 */
export async function loadEvidenceRules(
  context: CliContext,
  options: Named,
): Promise<EvidenceRules> {
  const path = resolve(context.cwd, options.policy);
  // A link that leads nowhere is a file that cannot be read, not a name of ppml.yaml.
  const isFile = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  const rules = isFile
    ? await fromFile(context, { path, project: options.project })
    : rulesOf(
        await loadPolicyFile(
          await loadProject({ cwd: context.cwd, folder: options.project }),
          options.policy,
        ),
      );
  if (rules !== null) return rules;
  throw new PpmlError(
    "release.policy",
    `the policy ${options.policy} judges no Evidence: it is for opening by its owner only`,
  );
}

async function fromFile(
  context: CliContext,
  options: { readonly path: string; readonly project: string | undefined },
): Promise<EvidenceRules | null> {
  const { path, project } = options;
  const bytes = await readBoundedFile(path, {
    what: `the policy ${path}`,
    maxBytes: MAX_POLICY_BYTES,
    code: "release.policy",
  });
  const value = parsePolicyJson(bytes, path);
  const isAlone = typeof value === "object" && value !== null && "tee" in value;
  const whole = isAlone ? { appraisal: value } : value;
  const resolved = hasLink(whole)
    ? await resolveReferences(await loadProject({ cwd: context.cwd, folder: project }), whole)
    : whole;
  if (!isAlone) return rulesOf(parsePolicyFile(resolved));
  const what = { what: path, code: "release.policy" } as const;
  const { appraisal } = parseWith(aloneSchema, resolved, what);
  return { appraisal, release: null, codeDigests: null };
}

const aloneSchema = z.strictObject({ appraisal: appraisalPolicySchema });

function hasLink(policy: unknown): boolean {
  if (typeof policy !== "object" || policy === null || !("appraisal" in policy)) return false;
  return referenceFileOf(policy.appraisal) !== null;
}

function rulesOf({ appraisal, release, jobs }: PolicyFile): EvidenceRules | null {
  if (appraisal === null) return null;
  return { appraisal, release, codeDigests: jobs?.codeDigests ?? null };
}

/** Runtime data from a file, as the bytes that Evidence binds. @throws attest.invalid */
export async function loadRuntimeData(path: string): Promise<Uint8Array> {
  const bytes = await readBoundedFile(path, {
    what: `the runtime data ${path}`,
    maxBytes: MAX_RUNTIME_DATA_BYTES,
    code: "attest.invalid",
    remedy: "Give the path of a regular file; what comes by a pipe has to be put into one first.",
  });
  return encodeJcs(parseJson(bytes, path));
}
