import { z } from "zod";
import { RESOURCES } from "../state-kinds.ts";
import { isExpression } from "./template/expression.ts";
import { ArmRefusal, badRequest } from "./refusal.ts";
import { parseResourceId } from "./resource-id.ts";
import type { ResourceId } from "./resource-id.ts";
import type { ArmContext, Json, TypeSpec } from "./type-spec.ts";
import { objectAt, objectsAt, textAt } from "./type-spec.ts";
import { typeSpec } from "./type-table.ts";

/** Members of a body that the server sets, and clients send back as they got them. */
const ECHOED: ReadonlySet<string> = new Set(["id", "name", "type", "etag", "systemData"]);

type Body = {
  readonly spec: TypeSpec;
  readonly id: ResourceId;
  readonly apiVersion: string;
  readonly body: Json;
};

/**
 * Checks a resource's body by the strict table of the double, and by Microsoft's type data where it
 * was given. What is still the text of an expression is not looked at.
 * @throws ArmRefusal InvalidResourceName, InvalidRequestContent, LocationRequired
 */
export function checkBody(context: ArmContext, request: Body): Json {
  const { spec, id, body } = request;
  const last = id.name.split("/").at(-1) ?? "";
  if (!spec.name.test(last))
    throw badRequest(
      "InvalidResourceName",
      `Resource name '${last.slice(0, 100)}' is invalid for the type '${spec.type}'. The name must fit ${String(spec.name)}.`,
    );
  const shape: Record<string, z.ZodType> = {
    ...spec.top,
    properties: spec.hasOptionalProperties === true ? spec.properties.optional() : spec.properties,
  };
  if (spec.isTracked) {
    if (textAt(body, "location") === "")
      throw badRequest(
        "LocationRequired",
        "The location property is required for this definition.",
      );
    shape["location"] = z.string();
    shape["tags"] = z.record(z.string(), z.string().max(256)).nullable().optional();
  }
  const own = Object.fromEntries(Object.entries(body).filter(([name]) => !ECHOED.has(name)));
  const result = z.strictObject(shape).safeParse(own);
  if (!result.success) refuse(spec, own, result.error.issues);
  checkTypeData(context, request, own);
  return objectAt(body, "properties");
}

/** The location in the form of its name: East US 2 is eastus2. */
export function locationOf(spec: TypeSpec, body: Json): string {
  return spec.isTracked ? normalLocation(textAt(body, "location")) : "";
}

/** @see ARM: display names of locations are accepted */
export function normalLocation(location: string): string {
  return location.toLowerCase().replaceAll(" ", "");
}

/**
 * Every resource that a body names by its id has to be there; a subnet is a part of its network.
 * @throws ArmRefusal InvalidResourceReference
 */
export function checkReferences(
  context: ArmContext,
  request: Pick<Body, "id" | "body"> & { readonly isVisible: (key: string) => boolean },
): void {
  for (const id of idsIn(request.body)) {
    const target = parseResourceId(id);
    if (target === null || target.key === request.id.key) continue;
    if (isThere(context, target, request.isVisible)) continue;
    throw new ArmRefusal(400, "InvalidResourceReference", {
      message: `Resource ${target.id} referenced by resource ${request.id.id} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.`,
    });
  }
}

/** Every resource id in a value, whole strings only, keys of objects too. */
export function idsIn(value: unknown): readonly string[] {
  if (typeof value === "string")
    return /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\//i.test(value)
      ? [value]
      : [];
  if (Array.isArray(value)) return value.flatMap((one) => idsIn(one));
  if (typeof value === "object" && value !== null)
    return [...Object.keys(value), ...Object.values(value)].flatMap((one) => idsIn(one));
  return [];
}

function isThere(
  { state }: ArmContext,
  target: ResourceId,
  isVisible: (key: string) => boolean,
): boolean {
  if (state.get(RESOURCES, target.key) !== null) return isVisible(target.key);
  const [network = "", subnet = ""] = target.key.split("/subnets/");
  const parent = subnet === "" ? null : state.get(RESOURCES, network);
  if (parent !== null)
    return (
      isVisible(network) &&
      objectsAt(parent.properties, "subnets").some(
        (one) => textAt(one, "name").toLowerCase() === subnet,
      )
    );
  // Of types that the double does not have, it cannot tell.
  return typeSpec(target.type) === null;
}

function refuse(spec: TypeSpec, body: Json, issues: readonly z.core.$ZodIssue[]): void {
  const known = issues.filter(({ path }) => !isUnknownYet(body, path));
  const [issue] = known;
  if (issue === undefined) return;
  const path = issue.path.map(String).join(".");
  const member = issue.code === "unrecognized_keys" ? (issue.keys[0] ?? "") : path;
  throw new ArmRefusal(400, "InvalidRequestContent", {
    message:
      issue.code === "unrecognized_keys"
        ? `The request content was invalid and could not be deserialized: 'Could not find member '${member}' on object of type '${spec.type}'. Path '${[path, member].filter((part) => part !== "").join(".")}''.`
        : `The request content was invalid and could not be deserialized: '${issue.message}. Path '${path}''.`,
    details: known.slice(0, 10).map((one) => ({
      code: "InvalidProperty",
      target: one.path.map(String).join("."),
      message: one.message,
    })),
  });
}

function isUnknownYet(body: unknown, path: readonly PropertyKey[]): boolean {
  let value: unknown = body;
  for (const part of path) {
    if (typeof value !== "object" || value === null) break;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[part];
  }
  return typeof value === "string" && isExpression(value);
}

function checkTypeData(context: ArmContext, { spec, id, apiVersion }: Body, body: Json): void {
  const problems = context.checkResource?.({ ...body, type: spec.type, apiVersion, name: id.name });
  if (problems === null || problems === undefined || problems.length === 0) return;
  throw new ArmRefusal(400, "InvalidRequestContent", {
    message: `The request content was invalid by Microsoft's type data: ${problems.slice(0, 5).join("; ")}`,
  });
}
