import { z } from "zod";
import { ecPublicJwkSchema, parseWith } from "../../format/schema.ts";
import type { JsonObject } from "../evidence/maa-evidence.ts";
import { outranks, overstates, TRUST_CLAIMS, TRUST_TIERS } from "./tiers.ts";
import type { TrustTier, TrustVector } from "./tiers.ts";

/** The profile of CoCo's Trustee, which its clients and its KBS demand. */
export const TRUSTEE_PROFILE = "tag:github.com,2024:confidential-containers/Trustee";

/** The profile of Veraison. */
export const VERAISON_PROFILE = "tag:github.com,2023:veraison/ear";

/**
 * The profiles of the working group's draft, which renamed the claims (`ear_status`) and allows an overall
 * status and several policies. @see draft-ietf-rats-ear-03, draft-ietf-rats-ear-04
 */
export const IETF_EAR_PROFILES = [
  "tag:ietf.org,2026:rats/ear#03",
  "tag:ietf.org,2026:rats/ear#04",
] as const;

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

const policyIdSchema = z.string().max(1000);

/** Loose: verifiers may add claims of their own, which are not read. */
const appraisalSchema = z
  .looseObject({
    "ear.status": z.enum(TRUST_TIERS),
    "ear.trustworthiness-vector": vectorSchema.optional(),
    "ear.appraisal-policy-id": z
      .union([policyIdSchema, z.array(policyIdSchema).max(16)])
      .optional(),
    "ear.veraison.annotated-evidence": objectSchema.optional(),
    "ear.veraison.key-attestation": objectSchema.optional(),
  })
  .transform((claims): EarAppraisal => ({
    status: claims["ear.status"],
    vector: definedOf(claims["ear.trustworthiness-vector"] ?? {}),
    policyIds: [claims["ear.appraisal-policy-id"] ?? []].flat(),
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
    "ear.status": z.enum(TRUST_TIERS).optional(),
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
    status: claims["ear.status"] ?? null,
    submods: claims.submods,
    simulated: claims.ppml !== undefined,
  }))
  .refine(
    ({ status, submods }) =>
      status === null ||
      !outranks(
        status,
        Object.values(submods).map((one) => one.status),
      ),
    "the overall ear.status promises more than that of a submodule",
  );

/** What a Verifier found of one attester. */
export type EarAppraisal = {
  readonly status: TrustTier;
  /** Empty where the Verifier gives no vector. */
  readonly vector: TrustVector;
  readonly policyIds: readonly string[];
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
  /** Of the attesters together; null where the Verifier does not say. */
  readonly status: TrustTier | null;
  /** By the attester's name; CoCo's is `cpu0`. */
  readonly submods: Readonly<Record<string, EarAppraisal>>;
  /** The token carries the mark of a simulation. */
  readonly simulated: boolean;
};

/** Reads the claims of an EAR. Nothing here is verified. @throws attest.invalid */
export function readEar(claims: JsonObject): Ear {
  const isIetf = IETF_EAR_PROFILES.some((profile) => profile === claims["eat_profile"]);
  const named = isIetf ? ofIetf(claims) : withoutMembers(claims, ["ear.status"]);
  return parseWith(earSchema, named, { what: "the EAR token", code: "attest.invalid" });
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

/** What the draft's claims are called here, where they were before it renamed them. */
const IETF_NAMES: Readonly<Record<string, string>> = {
  ear_verifier_id: "ear.verifier-id",
  ear_status: "ear.status",
  ear_trustworthiness_vector: "ear.trustworthiness-vector",
  ear_appraisal_policy_ids: "ear.appraisal-policy-id",
  ear_attester_claims: "ear.veraison.annotated-evidence",
  ear_veraison_key_attestation: "ear.veraison.key-attestation",
};

/** A token has one set of names, by its profile: those of the other are members without meaning. */
function ofIetf(claims: JsonObject): JsonObject {
  const { submods } = claims;
  const renamed = rename(claims);
  return isRecord(submods)
    ? {
        ...renamed,
        submods: Object.fromEntries(
          Object.entries(submods).map(([name, one]) => [name, isRecord(one) ? rename(one) : one]),
        ),
      }
    : renamed;
}

function rename(claims: JsonObject): JsonObject {
  const plain = withoutMembers(claims, Object.values(IETF_NAMES));
  return Object.fromEntries(
    Object.entries(plain).map(([name, value]) => [IETF_NAMES[name] ?? name, value]),
  );
}

function withoutMembers(claims: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name)));
}

function isRecord(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function definedOf(vector: Readonly<Record<string, number | undefined>>): TrustVector {
  return Object.fromEntries(Object.entries(vector).filter(([, value]) => value !== undefined));
}
