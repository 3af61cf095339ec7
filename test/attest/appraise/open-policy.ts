import { z } from "zod";
import { appraisalPolicySchema } from "../../../src/attest/appraise/policy.ts";
import type { AppraisalPolicy } from "../../../src/attest/appraise/policy.ts";

/** What a claim's rule may be, the most open first. */
const RULES: readonly unknown[] = [
  "any",
  ...[4, 6, 8, 16, 32, 48, 64].map((length) => ({ equals: "00".repeat(length) })),
  { equals: "https://provider.example" },
  { equals: false },
];

/** For each kind of TEE a policy's members with their own schemas. */
export const KINDS: ReadonlyMap<string, Readonly<Record<string, z.ZodType>>> = new Map(
  appraisalPolicySchema.options.flatMap((option) => {
    const shape: Readonly<Record<string, z.ZodType>> = option.shape;
    const tee = shape["tee"];
    const names = tee instanceof z.ZodLiteral ? [...tee.values] : enumOf(tee);
    return names.map((name) => [String(name), shape] as const);
  }),
);

function enumOf(schema: unknown): readonly unknown[] {
  return schema instanceof z.ZodEnum ? schema.options : [];
}

/** The most open policy of a kind that its members allow, with `changes`; it may not parse. */
export function openPolicy(tee: string, changes: object = {}): Record<string, unknown> {
  const shape = KINDS.get(tee);
  if (shape === undefined) throw new RangeError(`no kind ${tee}`);
  const policy = Object.fromEntries(
    Object.entries(shape).map(([name, schema]) => [name, openMember(name, tee, schema)]),
  );
  return { ...policy, ...changes };
}

function openMember(name: string, tee: string, schema: z.ZodType): unknown {
  if (name === "tee") return tee;
  if (name === "references") return [];
  if (name === "profile") return "snp-node";
  if (schema instanceof z.ZodObject) {
    const shape: Readonly<Record<string, z.ZodType>> = schema.shape;
    return Object.fromEntries(
      Object.entries(shape).map(([part, inner]) => [part, openRule(inner)]),
    );
  }
  return openRule(schema);
}

function openRule(schema: z.ZodType): unknown {
  const rule = RULES.find((candidate) => schema.safeParse(candidate).success);
  if (rule === undefined) throw new RangeError(`no rule of the list fits`);
  return rule;
}

/** What a kind demands besides its members' own forms. */
export const IDENTITY: Readonly<Record<string, object>> = {
  sgx: { mrEnclave: { equals: "00".repeat(32) } },
  "sim-sgx": { mrEnclave: { equals: "00".repeat(32) } },
  "maa-sgx": { mrEnclave: { equals: "00".repeat(32) } },
};

/** A policy of a kind that parses, as open as it may be, with `changes`. */
export function parsedPolicy(tee: string, changes: object = {}): AppraisalPolicy {
  const base = openPolicy(tee, IDENTITY[tee]);
  const pcrs = base["pcrs"] as object | undefined;
  const named = pcrs === undefined ? {} : { pcrs: { ...pcrs, "11": { equals: "11".repeat(32) } } };
  return appraisalPolicySchema.parse({ ...base, ...named, ...changes });
}
