import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { z } from "zod";
import { PpmlError } from "../base/index.ts";
import { encodeJcs } from "./jcs.ts";

/** The one version of the KBS protocol that is spoken. @see CoCo Trustee, kbs_attestation_protocol.md */
export const RCAR_VERSION = "0.4.0";

/** The cookie that names a session. */
export const RCAR_COOKIE = "kbs-session-id";

/** The digest that guests take of their runtime data; CoCo's guests use it where nothing is said. */
export const RCAR_HASH = "sha384";

const RSA_BITS = { least: 2048, most: 8192 } as const;
const MAX_EVIDENCE_TEXT = 1_400_000;

/** POST /kbs/v0/auth. Older guests send an empty text for no parameters. */
export const rcarAuthSchema = z.strictObject({
  version: z.string().max(40),
  tee: z.string().regex(/^[a-z0-9-]{1,40}$/),
  "extra-params": z.union([
    z.literal(""),
    z.strictObject({
      "supported-hash-algorithms": z.array(z.string().max(40)).max(16).optional(),
    }),
  ]),
});

const coordinate = (characters: number) =>
  z.string().regex(new RegExp(`^[A-Za-z0-9_-]{${characters}}$`));

/** A guest's encryption key as CoCo's guests write it; its algorithm is a member. */
export const rcarTeeKeySchema = z.union([
  z.strictObject({
    kty: z.literal("EC"),
    crv: z.literal("P-256"),
    alg: z.literal("ECDH-ES+A256KW"),
    x: coordinate(43),
    y: coordinate(43),
  }),
  z.strictObject({
    kty: z.literal("EC"),
    crv: z.literal("P-521"),
    alg: z.literal("ECDH-ES+A256KW"),
    x: coordinate(88),
    y: coordinate(88),
  }),
  z.strictObject({
    kty: z.literal("RSA"),
    alg: z.literal("RSA-OAEP-256"),
    n: z.string().regex(/^[A-Za-z0-9_-]{342,1366}$/),
    e: z.literal("AQAB"),
  }),
]);
export type RcarTeeKey = z.infer<typeof rcarTeeKeySchema>;

/** POST /kbs/v0/attest. */
export const rcarAttestSchema = z.strictObject({
  "init-data": z
    .strictObject({ format: z.string().max(40), body: z.string().max(1_000_000) })
    .nullable()
    .optional(),
  "runtime-data": z.strictObject({
    /** 32 bytes, base64 with padding, as the challenge had it. */
    nonce: z.string().regex(/^[A-Za-z0-9+/]{43}=$/),
    "tee-pubkey": rcarTeeKeySchema,
  }),
  "tee-evidence": z.strictObject({
    primary_evidence: z.unknown(),
    additional_evidence: z.string().max(MAX_EVIDENCE_TEXT),
  }),
});
export type RcarAttest = z.infer<typeof rcarAttestSchema>;
export type RcarInitData = NonNullable<RcarAttest["init-data"]>;

/** What a guest's Evidence binds: nonce and key, and the Evidence of other devices, which is empty. */
export type RcarRuntimeData = {
  readonly nonce: string;
  readonly "tee-pubkey": RcarTeeKey;
  readonly "additional-evidence": "";
};

/**
 * The bytes whose SHA-384 a guest's primary Evidence binds: the JCS form of key, nonce and the text of
 * the additional evidence, which is there even when it is empty.
 * @see CoCo guest-components, kbs_protocol/src/client/rcar_client.rs, "get_composite_evidence"
 */
export function rcarRuntimeBytes(runtimeData: RcarRuntimeData): Uint8Array {
  return encodeJcs(runtimeData);
}

/** A flattened JWE: the answer of GET /kbs/v0/resource. @see RFC 7516 section 7.2.2 */
export const rcarResponseSchema = z.strictObject({
  protected: z.string().max(2000),
  encrypted_key: z.string().max(2000),
  iv: z.string().length(16),
  ciphertext: z.string().max(100_000),
  tag: z.string().length(22),
});
export type RcarResponse = z.infer<typeof rcarResponseSchema>;

/** Every refusal under /kbs: `type` is a URI of CoCo's. */
export const rcarErrorSchema = z.strictObject({
  type: z.string().max(200),
  detail: z.string().max(4000),
});

/**
 * KeyObject of a guest's key.
 * @throws format.invalid for a point off its curve, or RSA below 2048 or above 8192 bits
 */
export function rcarPublicKeyOf(jwk: RcarTeeKey): KeyObject {
  const key = publicKeyOf(jwk);
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (jwk.kty === "RSA" && !(bits !== undefined && bits >= RSA_BITS.least && bits <= RSA_BITS.most))
    throw new PpmlError(
      "format.invalid",
      `expected an RSA key of ${RSA_BITS.least} to ${RSA_BITS.most} bits in tee-pubkey, got ${bits}`,
    );
  return key;
}

function publicKeyOf(jwk: RcarTeeKey): KeyObject {
  try {
    return createPublicKey({ key: { ...jwk }, format: "jwk" });
  } catch (cause) {
    throw new PpmlError("format.invalid", "the tee-pubkey is not a key of its kind", { cause });
  }
}
