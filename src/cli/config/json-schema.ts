import { z } from "zod";
import type { PathPart } from "./document.ts";
import { projectSchema } from "./schema.ts";

/** The JSON Schema (draft 2020-12) of ppml.yaml, for editors and the reference page. */
export type JsonSchema = {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly [member: string]: unknown;
};

/** Generates the JSON Schema of what a person may write (defaults are optional). */
export function projectJsonSchema(): JsonSchema {
  const { $schema, ...schema } = z.toJSONSchema(projectSchema, { io: "input" });
  return { $schema, title: "ppml.yaml", ...schema } as JsonSchema;
}

/** The keys that the schema knows at a place of ppml.yaml; none where the place has free names. */
export function keysAt(path: readonly PathPart[]): readonly string[] {
  let schema: JsonSchema | undefined = projectJsonSchema();
  for (const part of path) {
    if (schema === undefined) return [];
    schema = stepInto(schema, part);
  }
  return Object.keys(schema?.properties ?? {});
}

function stepInto(schema: JsonSchema, part: PathPart): JsonSchema | undefined {
  if (typeof part === "number") return schema.items;
  const own = schema.properties?.[part];
  if (own !== undefined) return own;
  return typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
}
