import { z } from "zod";
import { ecPublicJwkSchema, parseWith } from "../../format/schema.ts";
import type { JsonObject } from "../evidence/maa-evidence.ts";
import { overstates, TRUST_CLAIMS, TRUST_TIERS } from "./tiers.ts";
import type { TrustTier, TrustVector } from "./tiers.ts";

/** The profile of CoCo's Trustee, which its clients and its KBS demand. */
export const TRUSTEE_PROFILE = "tag:github.com,2024:confidential-containers/Trustee";

/** The profile of Veraison. */
export const VERAISON_PROFILE = "tag:github.com,2023:veraison/ear";

const objectSchema = z.record(z.string(), z.unknown());
const seconds = z.int().min(0).max(253_402_300_799);

/** RSA of an unmodified CoCo guest: 2048 to 8192 bits. */
const rsaPublicJwkSchema = z.looseObject({
  kty: z.literal("RSA"),
  n: z.string().regex(/^[A-Za-z0-9_-]{340,1366}$/),
  e: z.literal("AQAB"),
});

const p521PublicJwkSchema = z.looseObject({
  kty: z.literal("EC"),
  crv: z.literal("P-521"),
  x: z.string().regex(/^[A-Za-z0-9_-]{88}$/),
  y: z.string().regex(/^[A-Za-z0-9_-]{88}$/),
});

/** A guest's public key as Trustee takes it: P-256, P-521 or RSA. */
export const teePubkeySchema = z.union([
  // Trustee's guests add alg and the like; only the key itself counts.
  z.looseObject(ecPublicJwkSchema.shape),
  p521PublicJwkSchema,
  rsaPublicJwkSchema,
]);
export type TeePubkey = z.infer<typeof teePubkeySchema>;

const trustValue = z.int().min(-128).max(127);
const vectorSchema = z.strictObject(
  Object.fromEntries(TRUST_CLAIMS.map((claim) => [claim, trustValue.optional()])),
);

/** Loose: verifiers may add claims of their own, which are not read. */
const appraisalSchema = z
  .looseObject({
    "ear.status": z.enum(TRUST_TIERS),
    "ear.trustworthiness-vector": vectorSchema.optional(),
    "ear.appraisal-policy-id": z.string().max(1000).optional(),
    "ear.veraison.annotated-evidence": objectSchema.optional(),
    "ear.veraison.key-attestation": objectSchema.optional(),
  })
  .transform((claims): EarAppraisal => ({
    status: claims["ear.status"],
    vector: definedOf(claims["ear.trustworthiness-vector"] ?? {}),
    policyId: claims["ear.appraisal-policy-id"] ?? null,
    annotatedEvidence: claims["ear.veraison.annotated-evidence"] ?? null,
    keyAttestation: claims["ear.veraison.key-attestation"] ?? null,
  }))
  .refine(
    ({ status, vector }) => !overstates(status, vector),
    "ear.status promises more than its trustworthiness vector",
  );

/** RFC 9711 section 4.1: 8 to 88 characters each. */
const nonceSchema = z.string().min(8).max(88);

const earSchema = z
  .looseObject({
    eat_profile: z.string().max(300),
    iat: seconds,
    nbf: seconds.optional(),
    exp: seconds.optional(),
    eat_nonce: z.union([nonceSchema, z.array(nonceSchema).min(1).max(10)]).optional(),
    "ear.verifier-id": z.looseObject({
      developer: z.string().max(200),
      build: z.string().max(200),
    }),
    submods: z
      .record(z.string().min(1).max(100), appraisalSchema)
      .refine((submods) => Object.keys(submods).length > 0, "expected at least one submodule")
      .refine((submods) => Object.keys(submods).length <= 16, "expected at most 16 submodules"),
    ppml: z.unknown().optional(),
  })
  .transform((claims): Ear => ({
    profile: claims.eat_profile,
    issuedAtMs: claims.iat * 1000,
    notBeforeMs: claims.nbf === undefined ? null : claims.nbf * 1000,
    expiresAtMs: claims.exp === undefined ? null : claims.exp * 1000,
    nonces: claims.eat_nonce === undefined ? [] : [claims.eat_nonce].flat(),
    verifierId: {
      developer: claims["ear.verifier-id"].developer,
      build: claims["ear.verifier-id"].build,
    },
    submods: claims.submods,
    simulated: claims.ppml !== undefined,
  }));

/** What a Verifier found of one attester. */
export type EarAppraisal = {
  readonly status: TrustTier;
  /** Empty where the Verifier gives no vector. */
  readonly vector: TrustVector;
  readonly policyId: string | null;
  readonly annotatedEvidence: JsonObject | null;
  readonly keyAttestation: JsonObject | null;
};

/** An EAT Attestation Result: what another Verifier found. @see draft-ietf-rats-ear */
export type Ear = {
  readonly profile: string;
  /** Milliseconds since 1970. */
  readonly issuedAtMs: number;
  readonly notBeforeMs: number | null;
  readonly expiresAtMs: number | null;
  readonly nonces: readonly string[];
  readonly verifierId: { readonly developer: string; readonly build: string };
  /** By the attester's name; CoCo's is `cpu0`. */
  readonly submods: Readonly<Record<string, EarAppraisal>>;
  /** The token carries the mark of a simulation. */
  readonly simulated: boolean;
};

/** Reads the claims of an EAR. Nothing here is verified. @throws attest.invalid */
export function readEar(claims: JsonObject): Ear {
  return parseWith(earSchema, claims, { what: "the EAR token", code: "attest.invalid" });
}

/**
 * The guest's public key in the place where Trustee has it: the runtime data of submodule `cpu0`.
 * @throws attest.invalid where there is none
 */
export function earTeePubkey(ear: Ear): TeePubkey {
  const runtime = ear.submods["cpu0"]?.annotatedEvidence?.["runtime_data_claims"];
  const schema = z.looseObject({ "tee-pubkey": teePubkeySchema });
  const what = "the runtime data in the EAR token";
  return parseWith(schema, runtime, { what, code: "attest.invalid" })["tee-pubkey"];
}

function definedOf(vector: Readonly<Record<string, number | undefined>>): TrustVector {
  return Object.fromEntries(Object.entries(vector).filter(([, value]) => value !== undefined));
}
