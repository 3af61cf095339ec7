import { z } from "zod";
import { fromBase64Url } from "../../base/index.ts";
import { parseUniqueJson } from "../../attest/token/unique-json.ts";
import { badParameter } from "./refusal.ts";

const MAX_TAGS = 15;
const MAX_TAG_CHARS = 256;

/** Key Vault's tags: at most 15, each name and value at most 256 characters. */
export const tagsSchema = z
  .record(z.string().max(MAX_TAG_CHARS), z.string().max(MAX_TAG_CHARS))
  .refine((tags) => Object.keys(tags).length <= MAX_TAGS, { error: "expected at most 15 tags" });

/** Attributes that a request may set. */
export const attributesSchema = z.strictObject({
  enabled: z.boolean().optional(),
  nbf: z.int().nonnegative().nullish(),
  exp: z.int().nonnegative().nullish(),
});

/** base64url as Azure's clients write it: with or without padding. */
export const base64UrlText = z
  .string()
  .max(100_000)
  .regex(/^[A-Za-z0-9_-]*={0,2}$/, "expected base64url");

/** Bytes of base64url, padded or not. @throws KeyVaultRefusal */
export function decodeBase64Url(text: string, what: string): Uint8Array {
  try {
    return fromBase64Url(text.replace(/={1,2}$/, ""));
  } catch {
    throw badParameter(`${what} is not base64url`);
  }
}

/** Parses a request's body by a strict schema: what Key Vault does not know is refused. @throws KeyVaultRefusal */
export function parseBody<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
  let value: unknown;
  try {
    value = parseUniqueJson(bytes, "the request");
  } catch {
    throw badParameter("The request body failed schema validation: it is not valid JSON.");
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw badParameter(
    `Property ${issue?.path.join(".") ?? ""} has invalid value: ${issue?.message ?? "not valid"}`,
  );
}

/** A name of a key, secret or certificate. @throws KeyVaultRefusal */
export function requireName(name: string): string {
  if (/^[0-9a-zA-Z-]{1,127}$/.test(name)) return name;
  throw badParameter(`The request URI contains an invalid name: ${name.slice(0, 150)}`);
}
