import { z } from "zod";
import { concatBytes, sha256, sha384 } from "../base/index.ts";
import { encodeJcs } from "./jcs.ts";
import { ecPublicJwkSchema, sha256HexSchema } from "./schema.ts";

const teeKeySchema = ecPublicJwkSchema.extend({
  kid: z.string().max(64),
  use: z.enum(["enc", "sig"]),
});

/** What the Evidence binds: the nonce, the TEE's own keys and the job. @see docs/protocol.md */
export const runtimeDataSchema = z.strictObject({
  /** 32 bytes, base64url, from the challenge. */
  nonce: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  /** The encryption key alone, in the place where CoCo's KBS protocol has it. */
  "tee-pubkey": ecPublicJwkSchema,
  /**
   * First the encryption key, then the signing key: together with its name the object is a JWK Set,
   * which is where Key Vault looks for the key to release to.
   */
  keys: z.tuple([teeKeySchema, teeKeySchema]),
  /** Digest of the signed job's payload. */
  "job-digest": sha256HexSchema,
});
export type RuntimeData = z.infer<typeof runtimeDataSchema>;

/** The 64 bytes of report data: SHA-384 of the JCS form, zero-padded. */
export function reportDataOf(runtimeData: RuntimeData): Uint8Array {
  return concatBytes(sha384(encodeJcs(runtimeData)), new Uint8Array(16));
}

/** SHA-256 of the JCS form: what Microsoft Azure Attestation compares with the report data. */
export function maaRuntimeDigest(runtimeData: RuntimeData): Uint8Array {
  return sha256(encodeJcs(runtimeData));
}
