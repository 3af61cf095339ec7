import { isPpmlError, PpmlError } from "../../../base/index.ts";
import type { ArmTemplate } from "../arm/resource.ts";
import type { AzureSection } from "../config/azure-section.ts";
import {
  type ArmFailure,
  type ArmPort,
  isAtWork,
  type ResourceProgress,
  type StackState,
} from "./arm-port.ts";
import { forecast, stackName, templateDigest, unmanagedOf } from "./plan.ts";
import { remedyFor, rootCauses } from "./remedies.ts";
import { nameOfId } from "./resource-ids.ts";
import { beyondPlan, differences, type SavedPlan } from "./saved-plan.ts";

/** What a plan is applied to. */
export type ApplyInput = {
  readonly port: ArmPort;
  readonly section: AzureSection;
  /** The project's own template: the plan must be of it. */
  readonly template: ArmTemplate;
  readonly plan: SavedPlan;
  /** Told of each resource's state as it changes. */
  readonly onProgress: (progress: ResourceProgress) => void;
};

/** How applying ended, where it ended well. */
export type ApplyResult = {
  /** Joined: the same plan was being applied already, and this call waited for it. */
  readonly how: "applied" | "joined" | "nothing-to-do";
  readonly stack: StackState | null;
};

/**
 * Applies a plan: asks Azure again what would change, refuses where that is not what the plan says,
 * and puts the stack. Run again after a kill it waits for what is at work, or finishes the rest.
 * @throws provision.plan_stale where the project or Azure has changed since the plan
 * @throws provision.busy where another plan is being applied
 * @throws provision.failed with each resource that failed, why, and what to do
 */
export async function applyPlan(input: ApplyInput): Promise<ApplyResult> {
  const { port, section, template, plan } = input;
  checkPlanIsOf(input);
  const before = await port.stack();
  const isOurs = before?.description === descriptionOf(plan);
  if (before !== null && isAtWork(before)) {
    if (!isOurs) throw busy(section, before);
    return { how: "joined", stack: await follow(input) };
  }
  if (!plan.groupExists && !(await port.groupExists()))
    await port.makeGroup({ region: section.region, tags: section.tags });
  const now = await forecast(port, { template, section });
  const hasBegun = isOurs || !plan.groupExists;
  const wrong = (hasBegun ? beyondPlan : differences)(plan.changes, now.changes);
  if (wrong.length > 0) throw stale(wrong);
  if (now.changes.length === 0 && before?.provisioningState.toLowerCase() === "succeeded")
    return { how: "nothing-to-do", stack: before };
  const putting = port.putStack({
    template,
    description: descriptionOf(plan),
    unmanaged: unmanagedOf(now.changes),
    tags: section.tags,
  });
  try {
    return { how: "applied", stack: await follow(input, putting) };
  } catch (error) {
    // Two calls began at one moment, and Azure took the other one's: it may be of the same plan.
    const isBusy = isPpmlError(error, "provision.busy");
    if (!isBusy || (await port.stack())?.description !== descriptionOf(plan)) throw error;
    return { how: "joined", stack: await follow(input) };
  }
}

/** What the stack keeps of the plan: by it a second call knows whose work is going on. */
export function descriptionOf({ digest }: SavedPlan): string {
  return `ppml plan ${digest}`;
}

function checkPlanIsOf({ section, template, plan }: ApplyInput): void {
  const { subscription, resourceGroup } = section;
  const isSamePlace =
    plan.subscription === subscription &&
    plan.resourceGroup === resourceGroup &&
    plan.stack === stackName(section);
  if (!isSamePlace)
    throw new PpmlError(
      "provision.plan_stale",
      `the plan is for ${plan.stack} in ${plan.resourceGroup} of ${plan.subscription}; ppml.yaml says ${stackName(section)} in ${resourceGroup} of ${subscription}: make a new plan`,
    );
  if (plan.templateSha256 !== templateDigest(template))
    throw new PpmlError(
      "provision.plan_stale",
      "ppml.yaml, or a file that it names, has changed since the plan was made: make a new plan with `ppml azure plan --out`",
    );
}

/** Tells the progress until the stack has ended. `putting` is the call that began it, if here. */
async function follow(input: ApplyInput, putting?: Promise<void>): Promise<StackState> {
  const { port, section } = input;
  const told = new Map<string, string>();
  let failure: unknown;
  let hasEnded = putting === undefined;
  const ended = putting?.then(
    () => void (hasEnded = true),
    (error: unknown) => {
      failure = error;
      hasEnded = true;
    },
  );
  for (;;) {
    await Promise.race([port.pause(), ...(ended === undefined || hasEnded ? [] : [ended])]);
    const stack = await port.stack();
    if (stack !== null) await tell(input, stack, told);
    if (!hasEnded || (stack !== null && isAtWork(stack))) continue;
    if (isRefusal(failure)) throw failure;
    if (stack === null) throw failure instanceof Error ? failure : missing(section);
    if (stack.provisioningState.toLowerCase() === "succeeded") return stack;
    throw failed(stack, failure);
  }
}

async function tell(
  { port, onProgress }: ApplyInput,
  stack: StackState,
  told: Map<string, string>,
): Promise<void> {
  if (stack.deploymentId === null) return;
  for (const one of await port.progress(stack.deploymentId)) {
    const key = one.resourceId.toLowerCase();
    if (told.get(key) === one.state) continue;
    told.set(key, one.state);
    onProgress(one);
  }
}

/** A refusal of the call itself, before anything was done: busy, denied, no login. */
function isRefusal(error: unknown): error is PpmlError {
  return (
    error instanceof PpmlError && error.code !== "azure.failed" && error.code !== "provision.failed"
  );
}

function stale(wrong: readonly string[]): PpmlError {
  return new PpmlError(
    "provision.plan_stale",
    `what Azure would change now is not what the plan says:\n  ${wrong.join("\n  ")}\nmake a new plan with \`ppml azure plan --out\`, and look at it`,
    { detail: { differences: wrong } },
  );
}

function busy(section: AzureSection, { provisioningState, description }: StackState): PpmlError {
  const whose = description === "" ? "" : ` (${description})`;
  return new PpmlError(
    "provision.busy",
    `${stackName(section)} is ${provisioningState}${whose}, by another call: wait for it with \`ppml azure status\`, then make a new plan`,
  );
}

function missing(section: AzureSection): PpmlError {
  return new PpmlError(
    "provision.failed",
    `${stackName(section)} is gone while it was being applied: somebody deleted it; apply again`,
  );
}

/** The error of a stack that did not succeed: every resource that failed, with its remedy. */
export function failed(stack: StackState, cause?: unknown): PpmlError {
  const own = stack.failedResources.flatMap(({ id, error }) =>
    error === null ? [] : rootCauses(error).map((one) => lineOf(one, nameOfId(id))),
  );
  const lines =
    own.length > 0 || stack.error === null
      ? own
      : rootCauses(stack.error).map((one) => lineOf(one, ""));
  const shown = lines.length > 0 ? lines : ["Azure says nothing about why"];
  return new PpmlError(
    "provision.failed",
    `the deployment is ${stack.provisioningState}:\n  ${[...new Set(shown)].join("\n  ")}`,
    {
      cause,
      detail: {
        state: stack.provisioningState,
        failures: [...new Set(shown)],
        remedy: "correct it and apply again: what is done stays done",
      },
    },
  );
}

function lineOf(failure: ArmFailure, name: string): string {
  const what = name === "" ? "" : `${name}: `;
  return `${what}${failure.code}: ${failure.message}\n    ${remedyFor(failure)}`;
}
