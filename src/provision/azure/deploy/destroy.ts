import { PpmlError } from "../../../base/index.ts";
import type { ArmResource, ArmTemplate } from "../arm/resource.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { isObject } from "../rules/rule.ts";
import { type ArmPort, isAtWork, type StackState } from "./arm-port.ts";
import { failed } from "./apply.ts";
import { stackName } from "./plan.ts";
import { evaluateId, holds, nameOfId, resourceId, typeOfId } from "./resource-ids.ts";

/** What may be deleted besides what holds neither keys nor data. */
export type Named = {
  /** Names of vaults, keys and all. */
  readonly vaults: readonly string[];
  /** Names of storage accounts, data and all. */
  readonly accounts: readonly string[];
};

/** What destroying will do. */
export type Destruction = {
  readonly deletes: readonly string[];
  /** What holds keys or data and was not named: it stays, and is no longer managed. */
  readonly keeps: readonly string[];
};

/**
 * What destroying a stack deletes and keeps.
 * @throws provision.protected where a name is given that the stack does not have, or has keys of alone
 */
export function planDestroy(stack: StackState, named: Named): Destruction {
  const protectedIds = stack.resources.filter((id) => holds(id) !== null);
  const wanted = [
    ...named.vaults.map((name) => ["keys", name] as const),
    ...named.accounts.map((name) => ["data", name] as const),
  ];
  for (const [what, name] of wanted)
    if (!protectedIds.some((id) => holds(id) === what && ownerOf(id) === name.toLowerCase())) {
      const there = protectedIds.filter((id) => holds(id) === what).map(ownerOf);
      throw new PpmlError(
        "provision.protected",
        `the stack has no ${what === "keys" ? "vault" : "storage account"} ${name}; it has ${[...new Set(there)].join(", ") || "none"}`,
      );
    }
  for (const name of named.vaults)
    if (!protectedIds.some((id) => nameOfId(id).toLowerCase() === name.toLowerCase()))
      throw new PpmlError(
        "provision.protected",
        `the stack has keys of ${name}, and not ${name} itself, which was there before it: ARM deletes no single key, and others may use them. Leave --delete-vault out; \`ppml key destroy\` destroys a KEK`,
      );
  const isNamed = (id: string) =>
    wanted.some(([what, name]) => holds(id) === what && ownerOf(id) === name.toLowerCase());
  const keeps = protectedIds.filter((id) => !isNamed(id));
  return { keeps, deletes: stack.resources.filter((id) => !keeps.includes(id)) };
}

/**
 * Deletes what the stack made. What holds keys or data and was not named is kept: the stack is first
 * put with only that in it, so that it deletes all else, and is then let go of. Run again after a kill
 * it does the rest.
 * @throws provision.busy provision.failed
 */
export async function destroyStack(options: {
  readonly port: ArmPort;
  readonly section: AzureSection;
  readonly template: ArmTemplate;
  readonly destruction: Destruction;
}): Promise<void> {
  const { port, section, template, destruction } = options;
  const stack = await port.stack();
  if (stack === null) return;
  if (isAtWork(stack))
    throw new PpmlError(
      "provision.busy",
      `${stackName(section)} is ${stack.provisioningState}: wait for it with \`ppml azure status\`, then destroy`,
    );
  if (destruction.keeps.length === 0) {
    await port.deleteStack("delete");
    return;
  }
  await port.putStack({
    template: keptTemplate(template, section, destruction.keeps),
    description: "ppml destroy",
    unmanaged: "delete",
    tags: section.tags,
  });
  const after = await port.stack();
  if (after !== null && after.provisioningState.toLowerCase() !== "succeeded") throw failed(after);
  await port.deleteStack("detach");
}

/** The template with what is kept alone, and without dependencies on what goes. */
export function keptTemplate(
  template: ArmTemplate,
  section: AzureSection,
  keeps: readonly string[],
): ArmTemplate {
  const kept = new Set(keeps.map((id) => id.toLowerCase()));
  const isKept = (id: string) => kept.has(id.toLowerCase());
  const resources = template.resources
    .filter((one) => isKept(resourceId(one, section)))
    .map((one) => alone(one, (id) => isKept(evaluateId(id, section))));
  const missing = keeps.filter(
    (id) => !resources.some((one) => resourceId(one, section).toLowerCase() === id.toLowerCase()),
  );
  if (missing.length > 0)
    throw new PpmlError(
      "provision.protected",
      `ppml.yaml no longer has ${missing.map((id) => `${typeOfId(id)} ${nameOfId(id)}`).join(", ")}, which the stack has: put it back, or name it to be deleted`,
    );
  return { ...template, resources, outputs: {} };
}

/** A resource that waits for nothing that goes. */
function alone(one: ArmResource, isKept: (id: string) => boolean): ArmResource {
  const { dependsOn = [], ...rest } = one;
  const left = dependsOn.filter((id) => isKept(id));
  const open = withoutSubnets(rest);
  return left.length === 0 ? open : { ...open, dependsOn: left };
}

/** A firewall that lets in a subnet which goes would keep the subnet from going. */
function withoutSubnets(one: ArmResource): ArmResource {
  const { networkAcls } = one.properties;
  if (!isObject(networkAcls)) return one;
  return {
    ...one,
    properties: { ...one.properties, networkAcls: { ...networkAcls, virtualNetworkRules: [] } },
  };
}

/** The vault or account that a resource is of: the first part of its name. */
function ownerOf(id: string): string {
  return (nameOfId(id).split("/")[0] ?? "").toLowerCase();
}
