import { setTimeout as sleep } from "node:timers/promises";
import type { DeploymentsClient } from "@azure/arm-resourcesdeployments";
import type { DeploymentStack, DeploymentStacksClient } from "@azure/arm-resourcesdeploymentstacks";
import { isRestError } from "@azure/core-rest-pipeline";
import { PpmlError } from "../../../base/index.ts";
import { armRequest, type AzureConnection, toAzureFailure } from "../../../azure/index.ts";
import type { ArmTemplate } from "../arm/resource.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { parseFailure } from "./arm-failure.ts";
import { askAzure, failureError, keepRefusals } from "./ask-azure.ts";
import type { ArmPort, ResourceProgress, StackRequest, StackState, Unmanaged } from "./arm-port.ts";
import { stackName } from "./plan.ts";
import { toWhatIf } from "./what-if-answer.ts";

const GROUPS_API = "2024-11-01";

/** How often a running operation is looked at, where Azure does not say it itself. */
type Pace = { readonly pollMs: number; readonly pauseMs: number };
const PACE: Pace = { pollMs: 500, pauseMs: 2000 };

/** ARM for the group and the stack of a section, through Microsoft's SDKs, which it loads. */
export async function connectArm(
  connection: AzureConnection,
  section: AzureSection,
  pace: Pace = PACE,
): Promise<ArmPort> {
  const [{ DeploymentsClient: Deployments }, stacks] = await Promise.all([
    import("@azure/arm-resourcesdeployments"),
    import("@azure/arm-resourcesdeploymentstacks"),
  ]);
  const { credential, clientOptions } = connection;
  const options = {
    ...clientOptions,
    additionalPolicies: [{ policy: keepRefusals, position: "perRetry" as const }],
  };
  const deployments = new Deployments(credential, section.subscription, options);
  const stackClient = new stacks.DeploymentStacksClient(credential, section.subscription, options);
  const context = { connection, section, pace, deployments, stacks: stackClient };
  return {
    groupExists: () => groupExists(context),
    makeGroup: (group) => makeGroup(context, group),
    whatIf: (template) => askWhatIf(context, template),
    stack: () => getStack(context),
    putStack: (request) => putStack(context, request),
    deleteStack: (unmanaged) => deleteStack(context, unmanaged),
    progress: (deploymentId) => listProgress(context, deploymentId),
    pause: () => sleep(pace.pauseMs),
  };
}

type Context = {
  readonly connection: AzureConnection;
  readonly section: AzureSection;
  readonly pace: Pace;
  readonly deployments: DeploymentsClient;
  readonly stacks: DeploymentStacksClient;
};

function groupPath({ subscription, resourceGroup }: AzureSection): string {
  return `/subscriptions/${subscription}/resourcegroups/${resourceGroup}`;
}

async function groupExists({ connection, section }: Context): Promise<boolean> {
  const path = groupPath(section);
  const what = `look for the resource group ${section.resourceGroup}`;
  const call = { method: "GET", path, apiVersion: GROUPS_API } as const;
  const { status, body } = await askAzure(what, () => armRequest(connection, call));
  if (status !== 404) return true;
  const failure = typeof body === "object" && body !== null ? Reflect.get(body, "error") : null;
  if (parseFailure(failure)?.code === UNSEEN) throw unseenSubscription(section);
  return false;
}

/** ARM's code where a subscription is not there, or not for this login. */
const UNSEEN = "SubscriptionNotFound";

function unseenSubscription({ subscription, tenant }: AzureSection): PpmlError {
  return new PpmlError(
    "azure.not_found",
    `this login does not see the subscription ${subscription}: check azure.subscription in ppml.yaml (\`az account list\` shows what the login sees), or log in to the tenant ${tenant}`,
  );
}

async function makeGroup(
  { connection, section }: Context,
  group: { readonly region: string; readonly tags: Readonly<Record<string, string>> },
): Promise<void> {
  const body = { location: group.region, tags: group.tags };
  const call = { method: "PUT", path: groupPath(section), apiVersion: GROUPS_API, body } as const;
  await askAzure(`make the resource group ${section.resourceGroup}`, () =>
    armRequest(connection, call),
  );
}

async function askWhatIf({ deployments, section, pace }: Context, template: ArmTemplate) {
  // The name of the deployment that would be: what-if keeps nothing under it.
  const name = `${stackName(section)}-what-if`;
  const request = {
    properties: {
      mode: "Incremental",
      template,
      whatIfSettings: { resultFormat: "FullResourcePayloads" },
    },
  } as const;
  const answer = await askAzure("ask Azure what would change", () =>
    deployments.deployments.whatIf(section.resourceGroup, name, request, {
      updateIntervalInMs: pace.pollMs,
    }),
  );
  if (answer.error !== undefined) {
    const unknown = { code: "Unknown", message: "Azure says nothing about why", details: [] };
    throw failureError("ask Azure what would change", parseFailure(answer.error) ?? unknown);
  }
  return toWhatIf(answer.changes ?? []);
}

async function getStack({ stacks, section }: Context): Promise<StackState | null> {
  const name = stackName(section);
  try {
    const found = await stacks.deploymentStacks.getAtResourceGroup(section.resourceGroup, name);
    return toStackState(found);
  } catch (error) {
    if (isRestError(error) && error.code === UNSEEN) throw unseenSubscription(section);
    if (isRestError(error) && error.statusCode === 404) return null;
    throw toAzureFailure(error, { what: `read the deployment stack ${name}` });
  }
}

async function putStack(
  { stacks, section, pace }: Context,
  { template, description, unmanaged, tags }: StackRequest,
): Promise<void> {
  const name = stackName(section);
  const stack: DeploymentStack = {
    tags: { ...tags },
    properties: {
      template: { ...template },
      description,
      // What the group has besides the stack, and the group itself, are never this stack's to delete.
      actionOnUnmanage: { resources: unmanaged, resourceGroups: "detach" },
      denySettings: { mode: "none" },
    },
  };
  await askAzure(`apply the deployment stack ${name}`, () =>
    stacks.deploymentStacks.beginCreateOrUpdateAtResourceGroupAndWait(
      section.resourceGroup,
      name,
      stack,
      { updateIntervalInMs: pace.pollMs },
    ),
  );
}

async function deleteStack(
  { stacks, section, pace }: Context,
  unmanaged: Unmanaged,
): Promise<void> {
  const name = stackName(section);
  await askAzure(`delete the deployment stack ${name}`, () =>
    stacks.deploymentStacks.beginDeleteAtResourceGroupAndWait(section.resourceGroup, name, {
      unmanageActionResources: unmanaged,
      unmanageActionResourceGroups: "detach",
      updateIntervalInMs: pace.pollMs,
    }),
  );
}

/** The operations of a deployment, one a resource: the last where a resource has several. */
async function listProgress(
  { deployments, section }: Context,
  deploymentId: string,
): Promise<readonly ResourceProgress[]> {
  const name = deploymentId.split("/").at(-1) ?? "";
  const found = new Map<string, ResourceProgress>();
  try {
    const pages = deployments.deploymentOperations.list(section.resourceGroup, name);
    for await (const { properties } of pages) {
      const resourceId = properties?.targetResource?.id;
      if (resourceId === undefined) continue;
      found.set(resourceId.toLowerCase(), {
        resourceId,
        type: properties?.targetResource?.resourceType ?? "",
        state: STATES[(properties?.provisioningState ?? "").toLowerCase()] ?? "running",
        error: parseFailure(properties?.statusMessage?.error),
      });
    }
  } catch (error) {
    // Progress is for people: where it cannot be read the deployment goes on all the same.
    if (!isRestError(error)) throw error;
  }
  return [...found.values()];
}

const STATES: Readonly<Record<string, ResourceProgress["state"]>> = {
  succeeded: "succeeded",
  failed: "failed",
  canceled: "failed",
};

function toStackState({ properties }: DeploymentStack): StackState {
  const outputs = Object.entries(properties?.outputs ?? {}).flatMap(([name, output]) => {
    const value: unknown =
      typeof output === "object" && output !== null ? Reflect.get(output, "value") : null;
    return typeof value === "string" ? [[name, value] as const] : [];
  });
  return {
    provisioningState: properties?.provisioningState ?? "unknown",
    description: properties?.description ?? "",
    resources: (properties?.resources ?? []).flatMap(({ id }) => id ?? []),
    failedResources: (properties?.failedResources ?? []).flatMap(({ id, error }) =>
      id === undefined ? [] : [{ id, error: parseFailure(error) }],
    ),
    error: parseFailure(properties?.error),
    deploymentId: properties?.deploymentId ?? null,
    outputs: Object.fromEntries(outputs),
  };
}
