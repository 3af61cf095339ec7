import { z } from "zod";
import { defineKind } from "../state.ts";

/** The body of the last PUT of a resource, by its key: what a what-if compares with. */
export const INPUTS = defineKind(
  "resource-input",
  z.strictObject({ body: z.record(z.string(), z.unknown()) }),
);

/** Until when a resource says that it is still being made, by its key. */
export const READY_TIMES = defineKind(
  "resource-ready",
  z.strictObject({ readyMs: z.number(), state: z.string() }),
);

/** Vaults that were deleted and can be had again, by TYPE/NAME in small letters. */
export const DELETED = defineKind(
  "deleted-resource",
  z.strictObject({
    document: z.looseObject({
      id: z.string(),
      name: z.string(),
      type: z.string(),
      properties: z.record(z.string(), z.unknown()),
    }),
    input: z.record(z.string(), z.unknown()),
    children: z.array(z.string()),
    deletedMs: z.number(),
    purgeMs: z.number(),
  }),
);

/** Names that somebody else in the world has: WORD/NAME, as vault/kv1 or storage/data1. */
export const TAKEN_NAMES = defineKind("taken-name", z.strictObject({ by: z.string() }));

/** Operations that callers poll, by their GUID. */
export const OPERATIONS = defineKind(
  "arm-operation",
  z.strictObject({
    /** When it is done. */
    readyMs: z.number(),
    /** The deployment or stack whose state it follows, in place of a time. */
    follows: z.string().nullable(),
    error: z.record(z.string(), z.unknown()).nullable(),
  }),
);

/** Namespaces that the subscription has not registered, by SUBSCRIPTION/NAMESPACE in small letters. */
export const UNREGISTERED = defineKind(
  "unregistered-provider",
  z.strictObject({ state: z.enum(["NotRegistered", "Registering"]) }),
);
