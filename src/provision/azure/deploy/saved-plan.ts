import { createHash } from "node:crypto";
import { z } from "zod";
import { PpmlError } from "../../../base/index.ts";
import { encodeJcs } from "../../../format/jcs.ts";
import { parseWith, sha256HexSchema } from "../../../format/schema.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { type Forecast, type ResourceChange, stackName } from "./plan.ts";

const MAX_CHANGES = 5000;

const changeSchema = z.strictObject({
  id: z.string().min(1).max(2000),
  type: z.string().max(300),
  name: z.string().max(1000),
  action: z.enum(["create", "modify", "delete", "release", "unknown"]),
  properties: z
    .array(
      z.strictObject({
        path: z.string().max(2000),
        before: z.unknown().optional(),
        after: z.unknown().optional(),
      }),
    )
    .max(MAX_CHANGES),
  reason: z.string().max(4000).optional(),
});

const contentShape = {
  kind: z.literal("ppml-azure-plan"),
  v: z.literal(1),
  madeAt: z.iso.datetime(),
  subscription: z.string(),
  resourceGroup: z.string(),
  stack: z.string(),
  /** SHA-256 of the template's JCS: the plan is of this one and no other. */
  templateSha256: sha256HexSchema,
  groupExists: z.boolean(),
  changes: z.array(changeSchema).max(MAX_CHANGES),
};
const planSchema = z.strictObject({
  ...contentShape,
  /** SHA-256 of the JCS of all members but this one: what an approval names. */
  digest: sha256HexSchema,
});

/** A plan as it is saved. */
export type SavedPlan = z.infer<typeof planSchema>;

/** Makes the plan of a forecast. Pure. */
export function makePlan(options: {
  readonly section: AzureSection;
  readonly templateSha256: string;
  readonly forecast: Forecast;
  readonly nowMs: number;
}): SavedPlan {
  const { section, templateSha256, forecast, nowMs } = options;
  const content = {
    kind: "ppml-azure-plan",
    v: 1,
    madeAt: new Date(nowMs).toISOString(),
    subscription: section.subscription,
    resourceGroup: section.resourceGroup,
    stack: stackName(section),
    templateSha256,
    groupExists: forecast.groupExists,
    changes: forecast.changes.map((one) => changeSchema.parse(one)),
  } as const;
  return { ...content, digest: digestOf(content) };
}

/**
 * Parses a saved plan and checks that nothing of it was changed since it was made.
 * @throws provision.plan_invalid
 */
export function parsePlan(value: unknown): SavedPlan {
  const plan = parseWith(planSchema, value, { what: "the plan", code: "provision.plan_invalid" });
  const { digest, ...content } = plan;
  if (digestOf(content) === digest) return plan;
  throw new PpmlError(
    "provision.plan_invalid",
    "the plan was changed after it was made: its digest is another. Make a new one with `ppml azure plan --out`",
  );
}

/** What differs between a plan and what Azure would change now; empty where nothing does. */
export function differences(
  planned: readonly ResourceChange[],
  now: readonly ResourceChange[],
): readonly string[] {
  const before = new Map(planned.map((one) => [keyOf(one), one]));
  const after = new Map(now.map((one) => [keyOf(one), one]));
  const lines: string[] = [];
  for (const [key, one] of after) {
    const other = before.get(key);
    if (other === undefined) lines.push(`${one.action} ${one.type} ${one.name}: not in the plan`);
    else if (textOf(one) !== textOf(other))
      lines.push(
        one.action === other.action
          ? `${one.action} ${one.type} ${one.name}: other properties than in the plan`
          : `${one.type} ${one.name}: ${one.action} now, ${other.action} in the plan`,
      );
  }
  for (const [key, one] of before)
    if (!after.has(key)) lines.push(`${one.action} ${one.type} ${one.name}: no longer needed`);
  return lines;
}

/**
 * What of the changes now is beyond a plan whose application was begun and cut off: what is done
 * already may be missing, and what was half made may have become a modification.
 */
export function beyondPlan(
  planned: readonly ResourceChange[],
  now: readonly ResourceChange[],
): readonly string[] {
  const known = new Map(planned.map((one) => [one.id.toLowerCase(), one.action]));
  return now.flatMap((one) => {
    const action = known.get(one.id.toLowerCase());
    const isOf = action === one.action || (action === "create" && one.action === "modify");
    return isOf ? [] : [`${one.action} ${one.type} ${one.name}: not in the plan`];
  });
}

function keyOf({ id }: ResourceChange): string {
  return id.toLowerCase();
}

function textOf({ action, properties, reason }: ResourceChange): string {
  return JSON.stringify([action, JSON.parse(JSON.stringify(properties)), reason ?? null]);
}

function digestOf(content: object): string {
  // What-if's values are JSON; undefined members are none.
  const json: unknown = JSON.parse(JSON.stringify(content));
  return createHash("sha256").update(encodeJcs(json)).digest("hex");
}
