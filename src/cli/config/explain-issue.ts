import type { z } from "zod";
import { printable } from "../output/printable.ts";
import type { PathPart, YamlDocument } from "./document.ts";
import type { Problem } from "./problem.ts";
import { nearest, suggestion } from "./suggest.ts";

/** How many unknown keys of one map are explained. */
const MAX_KEYS = 20;

type Issue = z.core.$ZodIssue;

/** Turns one issue of the schema into problems with positions, what was expected and what came. */
export function explainIssue(
  issue: Issue,
  context: {
    readonly document: YamlDocument;
    readonly keysAt: (path: readonly PathPart[]) => readonly string[];
  },
): readonly Problem[] {
  const { document, keysAt } = context;
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(path).filter((name) => !document.has([...path, name]));
    return issue.keys.slice(0, MAX_KEYS).map((key) => {
      const { line, column } = document.keyPositionOf([...path, key]);
      const message = `unknown key${suggestion(key, known)}`;
      return { line, column, path: pathText([...path, key]), message };
    });
  }
  if (issue.code === "invalid_key") {
    const message = `${issue.issues[0]?.message ?? issue.message}; came "${short(String(path.at(-1)))}"`;
    return [{ ...document.keyPositionOf(path), path: pathText(path), message }];
  }
  if (issue.code === "invalid_union") {
    // The branch that takes the value's type has the issue that helps.
    const branch =
      issue.errors.find((errors) => errors.some((inner) => inner.path.length > 0)) ??
      issue.errors.find((errors) => errors.some((inner) => inner.code !== "invalid_type"));
    if (branch !== undefined)
      return branch.flatMap((inner) => {
        // oxlint-disable-next-line oxc/no-map-spread -- an issue is small
        return explainIssue({ ...inner, path: [...issue.path, ...inner.path] }, context);
      });
  }
  if (!document.has(path)) {
    const key = String(path.at(-1));
    const position = document.keyPositionOf(path.slice(0, -1));
    return [{ ...position, path: pathText(path.slice(0, -1)), message: `missing key "${key}"` }];
  }
  const came = valueAt(document.content, path);
  return [{ ...document.positionOf(path), path: pathText(path), message: messageOf(issue, came) }];
}

/** `datasets.flights.groups[0].kek` */
export function pathText(path: readonly PathPart[]): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      const name = /^[A-Za-z0-9_-]+$/.test(part) ? part : JSON.stringify(short(part));
      return index === 0 ? name : `.${name}`;
    })
    .join("");
}

function messageOf(issue: Issue, came: unknown): string {
  const shown = `; came ${describe(came)}`;
  switch (issue.code) {
    case "invalid_type":
      return `expected ${TYPE_NAMES[issue.expected] ?? issue.expected}${shown}`;
    case "invalid_value": {
      const values = issue.values.map(String);
      const near = typeof came === "string" ? nearest(came, values) : undefined;
      const guess = near === undefined ? "" : `: did you mean "${near}"?`;
      return `expected ${values.map((value) => (typeof issue.values[0] === "string" ? `"${value}"` : value)).join(" or ")}${shown}${guess}`;
    }
    case "invalid_union":
      return `expected text or a list of texts${shown}`;
    case "too_small":
      return `expected ${amount(issue.origin, "at least", issue.minimum)}${shown}`;
    case "too_big":
      return `expected ${amount(issue.origin, "at most", issue.maximum)}${shown}`;
    case "invalid_format":
      return `${issue.message}${shown}`;
    case "custom":
    case "invalid_element":
    case "invalid_key":
    case "not_multiple_of":
    case "unrecognized_keys":
      break;
  }
  return issue.message;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map",
  record: "a map",
};

const UNITS: Readonly<Record<string, string>> = { string: "characters", array: "entries" };

function amount(origin: string, which: string, bound: number | bigint): string {
  const unit = UNITS[origin];
  return unit === undefined ? `${which} ${bound}` : `${which} ${bound} ${unit}`;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (typeof value === "string") return `"${short(value)}"`;
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return Object.keys(value).length === 0 ? "an empty map" : "a map";
  return JSON.stringify(value);
}

function short(text: string): string {
  return printable(text.length <= 60 ? text : `${text.slice(0, 57)}...`);
}

function valueAt(content: unknown, path: readonly PathPart[]): unknown {
  let value = content;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part))
      return undefined;
    value = (value as Record<PathPart, unknown>)[part];
  }
  return value;
}
