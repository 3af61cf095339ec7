import { createHash } from "node:crypto";
import { invalidTemplate } from "../refusal.ts";

/** A value of a template, evaluated. */
export type Value = unknown;

/** The namespace of guid(): version 5 of RFC 9562 section 5.5 over the parts with hyphens between. */
const NAMESPACE_BYTES = Buffer.from("11fb06fb712d4ddd98c7e71bbd588830", "hex");
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** Functions of values alone. @see learn.microsoft.com/azure/azure-resource-manager/templates/template-functions */
export const VALUE_FUNCTIONS: Readonly<Record<string, (args: readonly Value[]) => Value>> = {
  concat: (args) =>
    Array.isArray(args[0]) ? args.flatMap((one) => listOf(one)) : args.map(textOf).join(""),
  format: ([pattern, ...args]) =>
    textOf(pattern).replaceAll(/\{(\d+)\}/g, (_, at: string) => textOf(args[Number(at)])),
  guid: (args) => guidOf(args.map(textOf).join("-")),
  uniquestring: (args) => uniqueString(args.map(textOf).join("-")),
  tolower: ([text]) => textOf(text).toLowerCase(),
  toupper: ([text]) => textOf(text).toUpperCase(),
  trim: ([text]) => textOf(text).trim(),
  replace: ([text, from, to]) => textOf(text).replaceAll(textOf(from), textOf(to)),
  split: ([text, by]) => textOf(text).split(textOf(by)),
  join: ([list, by]) => listOf(list).map(textOf).join(textOf(by)),
  substring: ([text, from, length]) =>
    textOf(text).substring(
      numberOf(from),
      length === undefined ? undefined : numberOf(from) + numberOf(length),
    ),
  startswith: ([text, start]) => textOf(text).toLowerCase().startsWith(textOf(start).toLowerCase()),
  endswith: ([text, end]) => textOf(text).toLowerCase().endsWith(textOf(end).toLowerCase()),
  string: ([value]) => (typeof value === "string" ? value : JSON.stringify(value)),
  int: ([value]) => Number.parseInt(textOf(value), 10),
  bool: ([value]) => value === true || textOf(value).toLowerCase() === "true" || value === 1,
  json: ([text]) => JSON.parse(textOf(text)) as Value,
  base64: ([text]) => Buffer.from(textOf(text), "utf8").toString("base64"),
  base64tostring: ([text]) => Buffer.from(textOf(text), "base64").toString("utf8"),
  length: ([value]) =>
    typeof value === "string" || Array.isArray(value)
      ? value.length
      : Object.keys(recordOf(value)).length,
  empty: ([value]) =>
    value === null ||
    value === "" ||
    (typeof value === "object" && value !== null && Object.keys(value).length === 0),
  contains: ([container, item]) => contains(container, item),
  first: ([value]) => (typeof value === "string" ? value[0] : listOf(value)[0]),
  last: ([value]) => (typeof value === "string" ? value.at(-1) : listOf(value).at(-1)),
  array: ([value]) => (Array.isArray(value) ? value : [value]),
  createarray: (args) => args,
  createobject: (args) =>
    Object.fromEntries(
      args.flatMap((name, index) => (index % 2 === 0 ? [[textOf(name), args[index + 1]]] : [])),
    ),
  union: (args) =>
    Array.isArray(args[0])
      ? [...new Set(args.flatMap((one) => listOf(one)))]
      : Object.assign({}, ...args.map((one) => recordOf(one))),
  coalesce: (args) => args.find((one) => one !== null && one !== undefined) ?? null,
  equals: ([one, other]) => JSON.stringify(one) === JSON.stringify(other),
  not: ([value]) => value !== true,
  and: (args) => args.every((one) => one === true),
  or: (args) => args.some((one) => one === true),
  less: ([one, other]) => numberOf(one) < numberOf(other),
  greater: ([one, other]) => numberOf(one) > numberOf(other),
  add: ([one, other]) => numberOf(one) + numberOf(other),
  sub: ([one, other]) => numberOf(one) - numberOf(other),
  mul: ([one, other]) => numberOf(one) * numberOf(other),
  true: () => true,
  false: () => false,
  null: () => null,
};

/** A text, or a number as one. @throws ArmRefusal InvalidTemplate */
export function textOf(value: Value): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw invalidTemplate("The template language function expects its parameter to be a string");
}

function numberOf(value: Value): number {
  if (typeof value === "number") return value;
  throw invalidTemplate("The template language function expects its parameter to be an integer");
}

function listOf(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value as readonly Value[];
  throw invalidTemplate("The template language function expects its parameter to be an array");
}

function recordOf(value: Value): Readonly<Record<string, Value>> {
  if (typeof value === "object" && value !== null) return { ...value };
  throw invalidTemplate("The template language function expects its parameter to be an object");
}

function contains(container: Value, item: Value): boolean {
  if (typeof container === "string") return container.includes(textOf(item));
  if (Array.isArray(container)) return container.includes(item);
  return Object.keys(recordOf(container)).some(
    (name) => name.toLowerCase() === textOf(item).toLowerCase(),
  );
}

/** guid(): the same names give the same GUID. Not compared with Azure's. */
function guidOf(name: string): string {
  const hash = createHash("sha1").update(NAMESPACE_BYTES).update(name).digest().subarray(0, 16);
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  return [8, 12, 16, 20, 32]
    .map((end, index, ends) => hex.slice(index === 0 ? 0 : ends[index - 1], end))
    .join("-");
}

/** uniqueString(): 13 letters that follow from the text. Azure's own hash is not published: others. */
function uniqueString(text: string): string {
  const hash = createHash("sha256").update(text).digest();
  return Array.from(hash.subarray(0, 13), (byte) => BASE32[byte % 32]).join("");
}
