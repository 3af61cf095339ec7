import { PpmlError, readBoundedFile } from "../../base/index.ts";
import { parseJson } from "../../format/jcs.ts";
import {
  applyPlan,
  type ApplyResult,
  nameOfId,
  parsePlan,
  type ResourceProgress,
  resourceWords,
  type SavedPlan,
} from "../../provision/azure/deploy/index.ts";
import type { CliContext } from "../context.ts";
import type { AzureProject } from "./azure-project.ts";
import { connectSection } from "./connect.ts";
import { type DataPlaneStep, runDataPlaneSteps, stepLine } from "./data-plane-steps.ts";
import { checkManagedHsm, hsmLines, type HsmReport, reportManagedHsm } from "./managed-hsm.ts";
import { printable } from "../output/printable.ts";
import type { Style } from "../output/style.ts";
import { giveSecretRoles, type SecretRolesGiven } from "./secret-roles.ts";
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
 * Applies a plan, telling each resource on stderr, then does what no template can: the release
 * policies of exportable KEKs are compared and made immutable, with `dataPlane` directories and secrets
 * are made, and roles on secrets are given. What is people's to do at a Managed HSM is reported.
 */
export async function applyAndSettle(
  context: CliContext,
  { section, template }: AzureProject,
  { plan, dataPlane }: { readonly plan: SavedPlan; readonly dataPlane: boolean },
): Promise<Settled> {
  const { connection, arm } = await connectSection(section);
  await checkManagedHsm(connection, section);
  const wordsOf = resourceWords(section);
  const result = await applyPlan({
    port: arm,
    section,
    template,
    plan,
    onProgress: (one) =>
      context.talk(progressLine(context, { ...one, words: wordsOf(one.resourceId)?.words })),
  });
  const of = { connection, section, isFresh: result.how !== "nothing-to-do" };
  const settledKeks = await settleReleasePolicies({ ...of, template });
  // Before the roles: those are on secrets that are there.
  const steps = dataPlane
    ? await runDataPlaneSteps({ ...of, onStep: (step) => context.talk(printable(stepLine(step))) })
    : [];
  const secretRoles = await giveSecretRoles(connection, section);
  const hsm = await reportManagedHsm(connection, section, settledKeks);
  return { ...result, settledKeks, steps, secretRoles, hsm };
}

/** What applying did, and the steps after it. */
export type Settled = ApplyResult & {
  readonly settledKeks: readonly string[];
  /** The steps of the data plane; none where they were not asked for. */
  readonly steps: readonly DataPlaneStep[];
  readonly secretRoles: SecretRolesGiven;
  /** What is left to people at the Managed HSM; null where there is none. */
  readonly hsm: HsmReport | null;
};

/** The steps after the deployment as lines for people, and the deployment's outputs. */
export function settledLines(
  { settledKeks, secretRoles, stack, hsm }: Settled,
  style: Style,
): readonly string[] {
  const waiting = secretRoles.waiting.map(
    (what) =>
      `The role of ${what} waits for the secret: put it into the vault (ppml up makes enclave-key-pem and key-pass), then run this again.`,
  );
  return [
    ...settledKeks.map((name) => `The release policy of KEK ${name} is immutable now.`),
    ...(secretRoles.given.length === 0
      ? []
      : [`Identities may read their secrets: ${secretRoles.given.join(", ")}.`]),
    ...waiting,
    ...hsmLines(hsm).map((line) => printable(line)),
    ...Object.entries(stack?.outputs ?? {}).map(([name, value]) => `${style.dim(name)}  ${value}`),
    "",
  ];
}

function progressLine(
  { talkStyle }: CliContext,
  one: ResourceProgress & { readonly words: string | undefined },
): string {
  const { resourceId, type, state, error, words = nameOfId(resourceId) } = one;
  const paint = { running: talkStyle.dim, succeeded: talkStyle.good, failed: talkStyle.bad }[state];
  const why = error === null ? "" : `: ${error.code}: ${error.message}`;
  return `${paint(state.padEnd(9))}  ${talkStyle.dim(type)} ${words}${why}`;
}
