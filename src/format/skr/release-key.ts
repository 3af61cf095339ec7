import { z } from "zod";
import { concatBytes, sha256, toHex } from "../../base/index.ts";
import { encodeJcs } from "../jcs.ts";
import { base64UrlSchema, ecPublicJwkSchema, sha256HexSchema } from "../schema.ts";
import type { SkrPolicy } from "./skr-policy.ts";

/** A TEE's public RSA key that a KEK is released to: 3,072 to 4,096 bits, exponent 65537. */
export const rsaPublicJwkSchema = z.strictObject({
  kty: z.literal("RSA"),
  n: base64UrlSchema.min(512).max(683),
  e: z.literal("AQAB"),
});
export type RsaPublicJwk = z.infer<typeof rsaPublicJwkSchema>;

const keyIdSchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/**
 * Runtime data of a TEE that a KEK is released to: an RSA key receives it. Key Vault takes the first
 * RSA key of `keys` whose `key_ops` has "encrypt"; there is one.
 * @see docs/protocol.md section "Release of a KEK"
 */
export const kekRuntimeDataSchema = z.strictObject({
  /** 32 bytes, base64url. */
  nonce: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  "tee-pubkey": rsaPublicJwkSchema,
  keys: z.tuple([
    rsaPublicJwkSchema.extend({ kid: keyIdSchema, key_ops: z.tuple([z.literal("encrypt")]) }),
    ecPublicJwkSchema.extend({ kid: keyIdSchema, use: z.literal("sig") }),
  ]),
  /** Digest of the signed job's payload. */
  "job-digest": sha256HexSchema,
});
export type KekRuntimeData = z.infer<typeof kekRuntimeDataSchema>;

/** The 64 bytes of report data, as MAA compares them: SHA-256 of the JCS form, zero-padded. */
export function kekReportData(runtimeData: KekRuntimeData): Uint8Array {
  return concatBytes(sha256(encodeJcs(runtimeData)), new Uint8Array(32));
}

/** SHA-256 (hex) of a release policy's JCS form: what tells two policies apart. */
export function skrPolicyDigest(policy: SkrPolicy): string {
  return toHex(sha256(encodeJcs(policy)));
}
