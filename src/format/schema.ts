import { z } from "zod";
import { PpmlError } from "../base/index.ts";
import type { ErrorCode } from "../base/index.ts";

/** SHA-256 as 64 lower-case hex digits. */
export const sha256HexSchema = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hex digits");

/** A dataset's id: 16 random bytes as 32 lower-case hex digits. */
export const datasetIdSchema = z.string().regex(/^[0-9a-f]{32}$/, "expected 32 hex digits");

/** Names of datasets, jobs, policies and column groups. */
export const nameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, "expected lower-case letters, digits, '-' or '_', at most 63");

/** RFC 3339 UTC time with whole seconds. */
export const timestampSchema = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, "expected a time such as 2026-11-23T12:00:00Z");

/** base64url without padding. */
export const base64UrlSchema = z.string().regex(/^[A-Za-z0-9_-]*$/, "expected base64url");

/** RFC 7638 thumbprint: base64url SHA-256. */
export const thumbprintSchema = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "expected a thumbprint");

/** Public key on P-256. @see RFC 7518 section 6.2 */
export const ecPublicJwkSchema = z.strictObject({
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  y: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
export type EcPublicJwk = z.infer<typeof ecPublicJwkSchema>;

/**
 * Turns `unknown` into a type once, at the edge; the error names the first wrong member.
 * @throws format.invalid, or the code given
 */
export function parseWith<T>(
  schema: z.ZodType<T>,
  value: unknown,
  options: { readonly what: string; readonly code?: ErrorCode },
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue === undefined || issue.path.length === 0 ? "" : ` at ${issue.path.join(".")}`;
  throw new PpmlError(
    options.code ?? "format.invalid",
    `${options.what} is not valid${path}: ${issue?.message ?? "unknown"}`,
    { detail: { path: issue?.path.map(String) ?? [] } },
  );
}
