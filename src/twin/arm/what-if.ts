import { RESOURCES } from "../state-kinds.ts";
import type { ResourceDocument } from "../state-kinds.ts";
import { normalLocation } from "./check-body.ts";
import { INPUTS } from "./state-kinds.ts";
import type { PlannedResource } from "./template/expand.ts";
import { typeSpec } from "./type-table.ts";
import type { ArmContext, Json } from "./type-spec.ts";

/** One property that changes. @see Microsoft.Resources deployments, WhatIfPropertyChange */
export type PropertyChange = {
  readonly path: string;
  readonly propertyChangeType: "Create" | "Delete" | "Modify" | "Array" | "NoEffect";
  readonly before?: unknown;
  readonly after?: unknown;
  readonly children?: readonly PropertyChange[];
};

/** One resource of a what-if. @see Microsoft.Resources deployments, WhatIfChange */
export type Change = {
  readonly resourceId: string;
  readonly changeType: "Create" | "Delete" | "Ignore" | "NoChange" | "Modify" | "Unsupported";
  readonly before?: unknown;
  readonly after?: unknown;
  readonly delta?: readonly PropertyChange[];
  readonly unsupportedReason?: string;
};

/** Members that a template cannot change, or that say nothing of the resource's own. */
const FIXED: ReadonlySet<string> = new Set([
  "id",
  "name",
  "type",
  "apiVersion",
  "etag",
  "systemData",
]);

/**
 * What a PUT of a planned resource would change, computed from the state. What follows from
 * `reference()` is not known before the deployment: it shows as the text of its expression, as in
 * Azure. Properties that Azure set by itself are not compared.
 * @see learn.microsoft.com/azure/azure-resource-manager/templates/deploy-what-if
 */
export function changeOfResource(context: ArmContext, planned: PlannedResource): Change {
  const key = planned.id.toLowerCase();
  const existing = context.state.get(RESOURCES, key);
  const after = afterOf(planned);
  if (existing === null) return { resourceId: planned.id, changeType: "Create", after };
  const input = context.state.get(INPUTS, key)?.body ?? {};
  const writeOnly = new Set(
    (typeSpec(planned.type)?.writeOnly ?? []).map((path) => `properties.${path}`),
  );
  const delta = compareObjects(
    { before: existing, input, after: planned.body },
    { path: "", isTop: true, writeOnly },
  );
  const before = beforeOf(existing, planned.apiVersion);
  if (delta.length === 0)
    return { resourceId: existing.id, changeType: "NoChange", before, after: before };
  return {
    resourceId: existing.id,
    changeType: "Modify",
    before,
    after: { ...before, ...after },
    delta,
  };
}

/** A resource of the scope that the template says nothing of. */
export function ignoredChange(document: ResourceDocument): Change {
  const before = beforeOf(document, typeSpec(document.type)?.apiVersions[0] ?? "");
  return { resourceId: document.id, changeType: "Ignore", before, after: before };
}

/** A resource that a deployment of mode Complete takes away. */
export function deletedChange(document: ResourceDocument): Change {
  const before = beforeOf(document, typeSpec(document.type)?.apiVersions[0] ?? "");
  return { resourceId: document.id, changeType: "Delete", before };
}

type Compared = { readonly before: Json; readonly input: Json; readonly after: Json };
type At = {
  readonly path: string;
  readonly isTop: boolean;
  readonly writeOnly: ReadonlySet<string>;
};

function compareObjects(compared: Compared, at: At): readonly PropertyChange[] {
  const { before, input, after } = compared;
  const names = Object.keys(after).filter((name) => !at.isTop || !FIXED.has(name));
  const gone = Object.keys(input).filter(
    (name) => !(name in after) && !(at.isTop && FIXED.has(name)) && !isEmpty(input[name]),
  );
  return [
    ...names.flatMap((name) => {
      const path = join(at.path, name);
      if (at.writeOnly.has(path)) return [];
      return compareValues(
        { before: before[name], input: input[name], after: after[name] },
        { ...at, isTop: false, path },
      );
    }),
    ...gone
      .filter((name) => !at.writeOnly.has(join(at.path, name)))
      .map((name) => ({
        path: join(at.path, name),
        propertyChangeType: "Delete" as const,
        before: before[name] ?? input[name],
      })),
  ];
}

function compareValues(
  values: { readonly before: unknown; readonly input: unknown; readonly after: unknown },
  at: At,
): readonly PropertyChange[] {
  const { before, input, after } = values;
  const { path } = at;
  if (isObject(after)) {
    if (!isObject(before)) return isEmpty(after) ? [] : [created(path, after)];
    return compareObjects({ before, input: isObject(input) ? input : {}, after }, at);
  }
  if (Array.isArray(after)) return compareLists({ before, input, after }, at);
  if (before === undefined || before === null)
    return after === null || after === undefined ? [] : [created(path, after)];
  if (isSame(path, before, after)) return [];
  return [{ path, propertyChangeType: "Modify", before, after }];
}

/** Lists of things with a name are compared by it, others by their place. */
function compareLists(
  values: {
    readonly before: unknown;
    readonly input: unknown;
    readonly after: readonly unknown[];
  },
  at: At,
): readonly PropertyChange[] {
  const { after } = values;
  const { path } = at;
  const before: readonly unknown[] = Array.isArray(values.before) ? values.before : [];
  const input: readonly unknown[] = Array.isArray(values.input) ? values.input : [];
  const old = new Map(before.map((value, index) => [keyOf(value, index), value]));
  const sent = new Map(input.map((value, index) => [keyOf(value, index), value]));
  const keys = new Set(after.map(keyOf));
  const children: PropertyChange[] = after.flatMap((value, index) => {
    const key = keyOf(value, index);
    if (!old.has(key)) return [created(String(index), value)];
    const inner = { before: old.get(key), input: sent.get(key), after: value };
    if (!isObject(value) || !isObject(inner.before))
      return compareValues(inner, { ...at, path: String(index) });
    const changes = compareObjects(
      { before: inner.before, input: isObject(inner.input) ? inner.input : {}, after: value },
      { writeOnly: NONE, path: "", isTop: false },
    );
    if (changes.length === 0) return [];
    return [{ path: String(index), propertyChangeType: "Modify" as const, children: changes }];
  });
  for (const [index, value] of input.entries())
    if (!keys.has(keyOf(value, index)))
      children.push({ path: String(index), propertyChangeType: "Delete", before: value });
  if (children.length === 0) return [];
  return [{ path, propertyChangeType: "Array", before: values.before, after, children }];
}

function keyOf(value: unknown, index: number): string {
  if (!isObject(value)) return String(index);
  const { name, id } = value;
  if (typeof name === "string") return `name ${name.toLowerCase()}`;
  return typeof id === "string" ? `id ${id.toLowerCase()}` : String(index);
}

const NONE: ReadonlySet<string> = new Set();

function created(path: string, after: unknown): PropertyChange {
  return { path, propertyChangeType: "Create", after };
}

/** Ids and locations are the same in other letters. */
function isSame(path: string, before: unknown, after: unknown): boolean {
  if (typeof before !== "string" || typeof after !== "string")
    return JSON.stringify(before) === JSON.stringify(after);
  if (before === after) return true;
  if (path === "location") return normalLocation(before) === normalLocation(after);
  return after.startsWith("/subscriptions/") && before.toLowerCase() === after.toLowerCase();
}

function afterOf({ id, type, apiVersion, name, body }: PlannedResource): Json {
  return { apiVersion, id, name: name.split("/").at(-1), type, ...body };
}

function beforeOf(document: ResourceDocument, apiVersion: string): Json {
  return { apiVersion, ...document };
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(value: unknown): boolean {
  return (
    value === null ||
    value === undefined ||
    (Array.isArray(value) && value.length === 0) ||
    (isObject(value) && Object.keys(value).length === 0)
  );
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
