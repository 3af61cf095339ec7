import { createHash } from "node:crypto";
import type { ArmTemplate } from "../arm/resource.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { encodeJcs } from "../../../format/jcs.ts";
import type { ArmPort, StackState, WhatIfResource } from "./arm-port.ts";
import { realChanges } from "./noise.ts";
import { holds, nameOfId, sameId, templateIds, typeOfId } from "./resource-ids.ts";

/** What will happen to a resource. `unknown`: what-if cannot tell. `release`: kept, not managed. */
export type Action = "create" | "modify" | "delete" | "release" | "unknown";

/** A change of one property. */
export type PropertyChange = {
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
};

/** What a plan says of one resource. */
export type ResourceChange = {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly action: Action;
  readonly properties: readonly PropertyChange[];
  /** Why what-if cannot tell. */
  readonly reason?: string | undefined;
};

/** What applying would do now. */
export type Forecast = {
  readonly groupExists: boolean;
  readonly changes: readonly ResourceChange[];
  /** Resources that stay as they are. */
  readonly unchanged: number;
};

/** The stack's name in the group: one a prefix, so that two projects can share a group. */
export function stackName({ prefix }: AzureSection): string {
  return `${prefix}-stack`;
}

/**
 * Asks Azure what applying the template would change, and takes the noise out of its answer. Where
 * the group is not there yet, all is made: Azure cannot be asked, and the template alone tells.
 */
export async function forecast(
  port: ArmPort,
  input: { readonly template: ArmTemplate; readonly section: AzureSection },
): Promise<Forecast> {
  const { template, section } = input;
  const ids = templateIds(template, section);
  if (!(await port.groupExists()))
    return { groupExists: false, changes: ids.map((id) => changeOf(id, "create")), unchanged: 0 };
  const [answer, stack] = await Promise.all([port.whatIf(template), port.stack()]);
  const told = answer.flatMap((one) => toChange(one));
  const gone = leftBehind(stack, ids);
  const changes = [...told, ...gone].sort((a, b) => compareText(a.id, b.id));
  return { groupExists: true, changes, unchanged: Math.max(0, ids.length - told.length) };
}

/**
 * What the stack has and the template no longer does: deleted, but never keys or data. Where one of
 * them holds such, nothing at all is deleted in this step: a stack knows one action for all.
 */
function leftBehind(stack: StackState | null, ids: readonly string[]): readonly ResourceChange[] {
  const gone = (stack?.resources ?? []).filter((id) => !ids.some((other) => sameId(id, other)));
  const action = gone.some((id) => holds(id) !== null) ? "release" : "delete";
  return gone.map((id) => changeOf(id, action));
}

/** What the stack is told to do with what it no longer has. */
export function unmanagedOf(changes: readonly ResourceChange[]): "detach" | "delete" {
  return changes.some(({ action }) => action === "release") ? "detach" : "delete";
}

function toChange(one: WhatIfResource): readonly ResourceChange[] {
  const { resourceId, changeType, delta = [], unsupportedReason } = one;
  switch (changeType) {
    case "Create":
      return [changeOf(resourceId, "create")];
    case "Delete":
      return [changeOf(resourceId, "delete")];
    case "Modify": {
      const properties = realChanges(resourceId, delta).map(
        ({ path, before, after }): PropertyChange => {
          if (before === undefined) return { path, after };
          return after === undefined ? { path, before } : { path, before, after };
        },
      );
      return properties.length === 0 ? [] : [{ ...changeOf(resourceId, "modify"), properties }];
    }
    case "Deploy":
      return [{ ...changeOf(resourceId, "unknown"), reason: "what-if was not asked for details" }];
    case "Unsupported":
      return [
        { ...changeOf(resourceId, "unknown"), reason: unsupportedReason ?? "what-if cannot tell" },
      ];
    case "Ignore": // of the group, and not of this template
    case "NoChange":
      break;
  }
  return [];
}

function changeOf(id: string, action: Action): ResourceChange {
  return { id, type: typeOfId(id), name: nameOfId(id), action, properties: [] };
}

/** SHA-256 of the template's JCS, hex: what a plan and a stack name it by. */
export function templateDigest(template: ArmTemplate): string {
  return createHash("sha256").update(encodeJcs(template)).digest("hex");
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
