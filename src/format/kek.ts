import { z } from "zod";

/** How a KEK may be used, fixed at its creation. @see docs/format.md section "KEKs" */
export const kekKindSchema = z.enum(["unwrap-only", "exportable"]);
export type KekKind = z.infer<typeof kekKindSchema>;

/** What a vault, its keys and its releases are for; fixed when the vault is made. */
export const modeSchema = z.enum(["simulation", "production"]);
export type Mode = z.infer<typeof modeSchema>;

/** A KEK's id: opaque text chosen by its vault, 1 to 200 characters, no white space. */
export const kekIdSchema = z.string().regex(/^[\x21-\x7e]{1,200}$/);

/** A KEK version: 32 hex digits, the first half of the SHA-256 of its public key's SPKI. */
export const kekVersionSchema = z.string().regex(/^[0-9a-f]{32}$/);

const base64UrlSchema = z.string().regex(/^[A-Za-z0-9_-]+$/);

/** The public half of one KEK version: all that sealing needs. */
export const kekPublicKeySchema = z.strictObject({
  kekId: kekIdSchema,
  kekVersion: kekVersionSchema,
  kind: kekKindSchema,
  mode: modeSchema,
  /** RSA of 3072 bits or more, exponent 65537. */
  jwk: z.strictObject({
    kty: z.literal("RSA"),
    n: base64UrlSchema.max(1400),
    e: z.literal("AQAB"),
  }),
});
export type KekPublicKey = z.infer<typeof kekPublicKeySchema>;

/** A local key (AES-256) wrapped under a KEK with RSA-OAEP-256: one vault unwrap opens all its DEKs. */
export const wrappedLocalKeySchema = z.strictObject({
  /** 16 random bytes, base64url. */
  id: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
  kekId: kekIdSchema,
  kekVersion: kekVersionSchema,
  /** RSA-OAEP-256 ciphertext, base64url; its length is the KEK's modulus. */
  wrapped: base64UrlSchema.min(512).max(1400),
});
export type WrappedLocalKey = z.infer<typeof wrappedLocalKeySchema>;
