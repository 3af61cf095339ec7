import { PpmlError, readBoundedFile } from "../../base/index.ts";
import { parseJson } from "../../format/jcs.ts";
import {
  applyPlan,
  type ApplyResult,
  nameOfId,
  parsePlan,
  type ResourceProgress,
  type SavedPlan,
} from "../../provision/azure/deploy/index.ts";
import type { CliContext } from "../context.ts";
import type { AzureProject } from "./azure-project.ts";
import { connectSection } from "./connect.ts";
import { settleReleasePolicies } from "./release-policies.ts";

const MAX_PLAN_BYTES = 32 * 1024 * 1024;

/** Reads a saved plan. @throws provision.plan_invalid */
export async function loadPlan(path: string): Promise<SavedPlan> {
  const bytes = await readBoundedFile(path, {
    what: `the plan ${path}`,
    maxBytes: MAX_PLAN_BYTES,
    code: "provision.plan_invalid",
    remedy: "make one with `ppml azure plan --out FILE`",
  });
  try {
    return parsePlan(parseJson(bytes, path));
  } catch (cause) {
    if (cause instanceof PpmlError && cause.code === "provision.plan_invalid") throw cause;
    throw new PpmlError("provision.plan_invalid", `${path} is no plan of ppml azure plan`, {
      cause,
    });
  }
}

/**
 * Applies a plan, telling each resource on stderr, then does what only the vault can: the release
 * policies of exportable KEKs are compared and made immutable.
 */
export async function applyAndSettle(
  context: CliContext,
  { section, template }: AzureProject,
  plan: SavedPlan,
): Promise<ApplyResult & { readonly settledKeks: readonly string[] }> {
  const { connection, arm } = await connectSection(section);
  const result = await applyPlan({
    port: arm,
    section,
    template,
    plan,
    onProgress: (one) => context.talk(progressLine(context, one)),
  });
  const settledKeks = await settleReleasePolicies({ connection, section, template });
  return { ...result, settledKeks };
}

function progressLine(
  { talkStyle }: CliContext,
  { resourceId, type, state, error }: ResourceProgress,
): string {
  const paint = { running: talkStyle.dim, succeeded: talkStyle.good, failed: talkStyle.bad }[state];
  const why = error === null ? "" : `: ${error.code}: ${error.message}`;
  return `${paint(state.padEnd(9))}  ${talkStyle.dim(type)} ${nameOfId(resourceId)}${why}`;
}
