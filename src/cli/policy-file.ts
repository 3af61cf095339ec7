import { parseUniqueJson } from "../attest/index.ts";
import { isPpmlError, PpmlError, readBoundedFile } from "../base/index.ts";
import { parseJson } from "../format/jcs.ts";
import { parsePolicyFile } from "../release/index.ts";
import type { PolicyFile } from "../release/index.ts";
import { namingFile } from "./file-error.ts";
import type { Project } from "./config/load.ts";
import { resolveReferences } from "./reference-file.ts";

/** Longest file of a policy, in bytes. */
export const MAX_POLICY_BYTES = 4 * 1024 * 1024;

/** Absolute path of a policy's file. @throws config.invalid */
export function policyPath(project: Project, name: string): string {
  const { policies } = project.config;
  const found = Object.hasOwn(policies, name) ? policies[name] : undefined;
  if (found !== undefined) return project.resolve(found.file);
  throw new PpmlError(
    "config.invalid",
    `ppml.yaml has no policy ${name}; it has ${Object.keys(policies).join(", ") || "none"}`,
  );
}

/** Reads and parses a policy's file; its name must be that of ppml.yaml. @throws release.policy */
export async function loadPolicyFile(project: Project, name: string): Promise<PolicyFile> {
  const path = policyPath(project, name);
  const bytes = await readBoundedFile(path, {
    what: `the policy's file ${path}`,
    maxBytes: MAX_POLICY_BYTES,
    code: "release.policy",
    remedy: `write it, or begin with 'ppml policy draft ${name}'`,
  });
  const policy = await parsePolicy(project, bytes, path).catch((cause: unknown) => {
    throw namingFile(cause, {
      path,
      remedy: `correct the file, or draft it anew: ppml policy draft ${name} --force`,
    });
  });
  if (policy.name !== name)
    throw new PpmlError("release.policy", `${path} holds the policy ${policy.name}, not ${name}`);
  return policy;
}

async function parsePolicy(project: Project, bytes: Uint8Array, path: string): Promise<PolicyFile> {
  return parsePolicyFile(await resolveReferences(project, parsePolicyJson(bytes, path)));
}

/**
 * A policy's JSON, in which no member is there twice: the last one would count, and whoever reads the
 * file for a review may have seen the first.
 * @throws format.invalid format.too_large release.policy
 */
export function parsePolicyJson(bytes: Uint8Array, path: string): unknown {
  parseJson(bytes, path);
  try {
    return parseUniqueJson(bytes, path);
  } catch (cause) {
    if (!isPpmlError(cause)) throw cause;
    throw new PpmlError("release.policy", `${cause.message}: leave one of them`, { cause });
  }
}

/** The parameters of a command that takes one policy. */
export const policyArgument = {
  kind: "tuple",
  parameters: [{ placeholder: "POLICY", brief: "Policy of ppml.yaml", parse: String }],
} as const;
