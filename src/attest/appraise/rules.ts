import { z } from "zod";
import { timestampSchema } from "../../format/schema.ts";

const MAX_VALUES = 100;
const MAX_TEXT = 200;

/** The policy does not look at the claim: it has to say so in this word. */
export const anySchema = z.literal("any");

/** The claim has to be that of one of the policy's reference sets. */
export const referenceSchema = z.literal("reference");

const hexSchema = (length: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${2 * length}}$`), `expected ${length} bytes in lower-case hex`);

/** Rule for bytes: one value, or one of several; hex of exactly `length` bytes. */
export function bytesRuleSchema(length: number): z.ZodType<BytesRule> {
  const hex = hexSchema(length);
  return z.union([
    z.strictObject({ equals: hex }),
    z.strictObject({ oneOf: z.array(hex).min(1).max(MAX_VALUES) }),
  ]);
}

/** Rule for what tells a workload: a value, a set, or the reference sets; never "any". */
export const identitySchema = (length: number) =>
  z.union([bytesRuleSchema(length), referenceSchema]);

/** Rule for bytes that a policy may leave open. */
export const bytesSchema = (length: number) =>
  z.union([bytesRuleSchema(length), referenceSchema, anySchema]);

/** Rule for an unsigned number of 32 bits. */
export const numberRuleSchema = z.union([
  z.strictObject({ equals: z.int().min(0).max(0xffffffff) }),
  z.strictObject({ oneOf: z.array(z.int().min(0).max(0xffffffff)).min(1).max(MAX_VALUES) }),
  z.strictObject({ atLeast: z.int().min(0).max(0xffffffff) }),
]);

/** Rule for a number that a policy may leave open. */
export const numberSchema = z.union([numberRuleSchema, referenceSchema, anySchema]);

/** Rule for a yes or no that a policy may leave open. */
export const flagSchema = z.union([z.strictObject({ equals: z.boolean() }), anySchema]);

/** Rule for a word out of a list that the standard gives; more than one may be accepted. */
export function wordSchema<const Word extends string>(words: readonly [Word, ...Word[]]) {
  const word = z.enum(words);
  return z.union([
    z.strictObject({ equals: word }),
    z.strictObject({ oneOf: z.array(word).min(1).max(MAX_VALUES) }),
    anySchema,
  ]);
}

/** Rule for free text of at most 200 characters, such as a provider's URL. */
export const textRuleSchema = z.union([
  z.strictObject({ equals: z.string().max(MAX_TEXT) }),
  z.strictObject({ oneOf: z.array(z.string().max(MAX_TEXT)).min(1).max(MAX_VALUES) }),
]);

/** Rule for a list, such as advisories: nothing may be in it that the rule does not name. */
export const onlySchema = z.union([
  z.strictObject({ only: z.array(z.string().max(MAX_TEXT)).max(1000) }),
  anySchema,
]);

/**
 * One accepted workload: all its values together. `staged` is compared and reported, never accepted;
 * after `expiresAt` a set is not accepted either.
 */
export const referenceSetSchema = z.strictObject({
  label: z.string().min(1).max(100),
  state: z.enum(["accepted", "staged"]),
  expiresAt: timestampSchema.nullable(),
  values: z.record(z.string().max(100), z.union([z.string().max(MAX_TEXT), z.number()])),
});
export type ReferenceSet = z.infer<typeof referenceSetSchema>;

/** The reference sets of a policy; empty where no claim's rule is "reference". */
export const referencesSchema = z.array(referenceSetSchema).max(MAX_VALUES);

export type BytesRule = { readonly equals: string } | { readonly oneOf: readonly string[] };
/** What a policy says of one claim. */
export type Rule =
  | { readonly equals: string | number | boolean }
  | { readonly oneOf: readonly (string | number)[] }
  | { readonly atLeast: number }
  | { readonly only: readonly string[] }
  | "reference"
  | "any";

/** What Evidence says of one claim; null where this Evidence does not have it. */
export type ClaimValue = string | number | boolean | readonly string[] | null;

/** Every claim of a policy's type by its path: one that is left out does not compile. */
export type ClaimPath<P> = {
  [K in Exclude<keyof P & string, "tee" | "profile" | "references">]: P[K] extends Rule
    ? K
    : `${K}.${keyof P[K] & string}`;
}[Exclude<keyof P & string, "tee" | "profile" | "references">];

/** What Evidence says of every claim of a policy's type. */
export type ClaimValues<P> = Readonly<Record<ClaimPath<P>, ClaimValue>>;
