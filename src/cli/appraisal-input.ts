import { lstatSync } from "node:fs";
import { resolve } from "node:path";
import { appraisalPolicySchema } from "../attest/index.ts";
import type { AppraisalPolicy } from "../attest/index.ts";
import { PpmlError, readBoundedFile } from "../base/index.ts";
import { encodeJcs, parseJson } from "../format/jcs.ts";
import { parseWith } from "../format/schema.ts";
import { parsePolicyFile } from "../release/index.ts";
import { loadProject } from "./config/load.ts";
import type { CliContext } from "./context.ts";
import { loadPolicyFile, MAX_POLICY_BYTES } from "./policy-file.ts";

const MAX_RUNTIME_DATA_BYTES = 1024 * 1024;

/**
 * The appraisal policy that an argument names: the file of a whole policy or of its `appraisal` alone,
 * or a policy of ppml.yaml by its name.
 * @throws release.policy
 */
export async function loadAppraisal(
  context: CliContext,
  options: { readonly policy: string; readonly project: string | undefined },
): Promise<AppraisalPolicy> {
  const path = resolve(context.cwd, options.policy);
  // A link that leads nowhere is a file that cannot be read, not a name of ppml.yaml.
  const isFile = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  const file = isFile
    ? await fromFile(path)
    : (
        await loadPolicyFile(
          await loadProject({ cwd: context.cwd, folder: options.project }),
          options.policy,
        )
      ).appraisal;
  if (file !== null) return file;
  throw new PpmlError(
    "release.policy",
    `the policy ${options.policy} judges no Evidence: it is for opening by its owner only`,
  );
}

async function fromFile(path: string): Promise<AppraisalPolicy | null> {
  const bytes = await readBoundedFile(path, {
    what: `the policy ${path}`,
    maxBytes: MAX_POLICY_BYTES,
    code: "release.policy",
  });
  const value = parseJson(bytes, path);
  if (typeof value === "object" && value !== null && "tee" in value)
    return parseWith(appraisalPolicySchema, value, { what: path, code: "release.policy" });
  return parsePolicyFile(value).appraisal;
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
