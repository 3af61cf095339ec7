import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ArmResource } from "../../../src/provision/index.ts";

/** A node of a types.json file of Azure/bicep-types-az. */
type TypeNode = {
  readonly $type: string;
  readonly name?: string;
  readonly body?: Reference;
  readonly value?: string;
  readonly elements?: readonly Reference[] | Readonly<Record<string, Reference>>;
  readonly itemType?: Reference;
  readonly properties?: Readonly<Record<string, Member>>;
  readonly baseProperties?: Readonly<Record<string, Member>>;
  readonly additionalProperties?: Reference;
  readonly discriminator?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minValue?: number;
  readonly maxValue?: number;
};
type Reference = { readonly $ref: string };
type Member = { readonly type: Reference; readonly flags: number };
type Types = readonly TypeNode[];

const REQUIRED = 1;
const READ_ONLY = 2;
/** Members of a resource that the template has and its body does not. */
const OUTSIDE = new Set(["type", "apiVersion", "dependsOn", "scope", "name", "id"]);

/** The types of a folder, by lower-case `namespace__version`; each file is read when it is needed. */
export function loadBicepTypes(folder: string): BicepTypes {
  const files = new Map(readdirSync(folder).map((name) => [name.replace(/\.json$/, ""), name]));
  const read = new Map<string, Types>();
  return (resource) => {
    const key = `${resource.type.split("/")[0] ?? ""}__${resource.apiVersion}`.toLowerCase();
    const file = files.get(key);
    if (file === undefined) return null;
    const types = read.get(key) ?? (JSON.parse(readFileSync(join(folder, file), "utf8")) as Types);
    read.set(key, types);
    return types;
  };
}

export type BicepTypes = (resource: ArmResource) => Types | null;

/** What the Bicep compiler's own types say against a resource; null where they do not have it. */
export function checkBicep(types: BicepTypes, resource: ArmResource): readonly string[] | null {
  const list = types(resource);
  const wanted = `${resource.type}@${resource.apiVersion}`.toLowerCase();
  const found = list?.find(
    ({ $type, name }) => $type === "ResourceType" && name?.toLowerCase() === wanted,
  );
  if (list === null || found?.body === undefined) return null;
  const problems: string[] = [];
  const walker: Walker = { types: list, problems };
  walk(walker, found.body, { value: bodyOf(resource), path: resource.type });
  return problems;
}

/** A child's name has its parents' before it: only the last part is what the type describes. */
function bodyOf(resource: ArmResource): Readonly<Record<string, unknown>> {
  const members = Object.entries(resource).filter(([name]) => !OUTSIDE.has(name));
  return { ...Object.fromEntries(members), name: resource.name.split("/").at(-1) };
}

type Walker = { readonly types: Types; readonly problems: string[] };
type Place = { readonly value: unknown; readonly path: string };

function walk(walker: Walker, reference: Reference, place: Place): void {
  const { value, path } = place;
  if (typeof value === "string" && /^\[(?!\[).*\]$/s.test(value)) return; // known to Azure only
  const type = walker.types[Number(reference.$ref.slice(2))];
  if (type === undefined) return;
  const refuse = (message: string) => void walker.problems.push(`${path}: ${message}`);
  switch (type.$type) {
    case "StringType":
      return checkText(type, value, refuse);
    case "StringLiteralType":
      if (value !== type.value) refuse(`expected "${type.value ?? ""}"`);
      return;
    case "IntegerType":
      return checkNumber(type, value, refuse);
    case "BooleanType":
      if (typeof value !== "boolean") refuse("expected true or false");
      return;
    case "UnionType":
      return walkUnion(walker, type, place);
    case "ArrayType":
      if (!Array.isArray(value)) return refuse("expected a list");
      for (const [index, one] of value.entries())
        if (type.itemType !== undefined)
          walk(walker, type.itemType, { value: one, path: `${path}[${index}]` });
      return;
    case "ObjectType":
    case "DiscriminatedObjectType":
      return walkObject(walker, type, place);
    default:
  }
}

type Refuse = (message: string) => void;

function checkText(type: TypeNode, value: unknown, refuse: Refuse): void {
  if (typeof value !== "string") return refuse("expected text");
  if (value.length < (type.minLength ?? 0)) refuse(`at least ${type.minLength} characters`);
  if (value.length > (type.maxLength ?? Infinity)) refuse(`at most ${type.maxLength} characters`);
  if (type.pattern !== undefined && !new RegExp(type.pattern).test(value))
    refuse(`does not match ${type.pattern}`);
}

function checkNumber(type: TypeNode, value: unknown, refuse: Refuse): void {
  if (typeof value !== "number" || !Number.isInteger(value)) return refuse("expected a number");
  if (value < (type.minValue ?? -Infinity)) refuse(`at least ${type.minValue}`);
  if (value > (type.maxValue ?? Infinity)) refuse(`at most ${type.maxValue}`);
}

function walkUnion(walker: Walker, type: TypeNode, place: Place): void {
  const elements = Array.isArray(type.elements) ? (type.elements as readonly Reference[]) : [];
  const isOne = elements.some((element) => {
    const problems: string[] = [];
    walk({ types: walker.types, problems }, element, place);
    return problems.length === 0;
  });
  if (!isOne) walker.problems.push(`${place.path}: is none of the values that are allowed`);
}

function walkObject(walker: Walker, type: TypeNode, { value, path }: Place): void {
  const refuse = (message: string) => void walker.problems.push(`${path}: ${message}`);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return refuse("expected an object");
  const members = membersOf(walker, type, value as Readonly<Record<string, unknown>>);
  for (const [name, one] of Object.entries(value)) {
    const member = members.get(name.toLowerCase());
    const inner = { value: one as unknown, path: `${path}.${name}` };
    if (member === undefined) {
      if (type.additionalProperties === undefined) refuse(`has no member "${name}"`);
      else walk(walker, type.additionalProperties, inner);
    } else if ((member.flags & READ_ONLY) !== 0) refuse(`"${name}" is read-only`);
    else walk(walker, member.type, inner);
  }
  const given = new Set(Object.keys(value).map((name) => name.toLowerCase()));
  for (const [name, { flags }] of members)
    if ((flags & REQUIRED) !== 0 && (flags & READ_ONLY) === 0 && !given.has(name))
      if (!OUTSIDE.has(name)) refuse(`lacks "${name}"`);
}

function membersOf(
  walker: Walker,
  type: TypeNode,
  value: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, Member> {
  let members = type.properties ?? type.baseProperties ?? {};
  if (type.discriminator !== undefined && !Array.isArray(type.elements)) {
    const elements = type.elements as Readonly<Record<string, Reference>> | undefined;
    const chosen = elements?.[String(value[type.discriminator])];
    const inner = chosen && walker.types[Number(chosen.$ref.slice(2))];
    members = { ...members, ...inner?.properties };
  }
  return new Map(Object.entries(members).map(([name, member]) => [name.toLowerCase(), member]));
}
