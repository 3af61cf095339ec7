import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { CompactSign } from "jose/jws/compact/sign";
import { PpmlError, utf8 } from "../../base/index.ts";
import type { JsonObject } from "../evidence/maa-evidence.ts";
import { TRUSTEE_PROFILE } from "./ear.ts";
import type { TeePubkey } from "./ear.ts";
import { overstates, worstTier } from "./tiers.ts";
import type { TrustTier, TrustVector } from "./tiers.ts";

const MAX_LIFETIME_SECONDS = 24 * 3600;

/** The key that signs EARs: P-256 for ES256, P-384 for ES384. */
export type EarSigner = {
  readonly algorithm: "ES256" | "ES384";
  readonly privateKey: KeyObject;
  readonly keyId: string;
};

/** What is said of the one attester of an EAR, CoCo's `cpu0`. */
export type CpuAppraisal = {
  readonly vector: TrustVector;
  /** The appraisal policy's name. */
  readonly policyId: string;
  /** The Evidence's type as CoCo names it (`snp`, `tdx`, `sgx`, `az-snp-vtpm`, ...), and its claims. */
  readonly tee: string;
  readonly claims: JsonObject;
  /** The runtime data that the Evidence binds; its `tee-pubkey` is who may use the token. */
  readonly runtimeData: JsonObject & { readonly "tee-pubkey": TeePubkey };
  /** Hex. */
  readonly reportData: string;
  /** Hex; null where the Evidence has none. */
  readonly initData: string | null;
};

/**
 * Issues an EAR in Trustee's profile: the answer of KBS's `/attest`, which a guest then sends as
 * `Authorization: Bearer`. The status is the worst tier of the vector, or worse where the caller
 * says so; `none` where the vector makes no claim.
 * @throws attest.invalid for a lifetime over a day, a vector out of range or a better status
 * @see draft-ietf-rats-ear; CoCo Trustee, kbs/docs/kbs_attestation_protocol.md
 */
export async function issueEar(options: {
  readonly signer: EarSigner;
  readonly verifierId: { readonly developer: string; readonly build: string };
  readonly cpu: CpuAppraisal;
  readonly status: TrustTier | "of-the-vector";
  /** The mark of a simulation goes into every token of one. */
  readonly simulated: boolean;
  readonly lifetimeSeconds: number;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}): Promise<string> {
  const { signer, cpu, lifetimeSeconds } = options;
  if (!(lifetimeSeconds >= 1 && lifetimeSeconds <= MAX_LIFETIME_SECONDS))
    throw new PpmlError("attest.invalid", `expected a lifetime of 1 to ${MAX_LIFETIME_SECONDS} s`);
  const status = options.status === "of-the-vector" ? worstTier(cpu.vector) : options.status;
  if (overstates(status, cpu.vector))
    throw new PpmlError(
      "attest.invalid",
      `the status ${status} promises more than the trustworthiness vector`,
    );
  const issuedAt = Math.floor(options.nowMs / 1000);
  const claims = {
    eat_profile: TRUSTEE_PROFILE,
    iat: issuedAt,
    exp: issuedAt + Math.floor(lifetimeSeconds),
    "ear.verifier-id": options.verifierId,
    submods: { cpu0: cpuClaims(cpu, status) },
    ...(options.simulated ? { ppml: { simulated: true } } : {}),
  };
  return new CompactSign(utf8(JSON.stringify(claims)))
    .setProtectedHeader({
      alg: signer.algorithm,
      typ: "JWT",
      kid: signer.keyId,
      // Trustee's clients look for the key here; who relies on the token pins it instead.
      jwk: publicJwkOf(signer),
    })
    .sign(signer.privateKey);
}

function cpuClaims(cpu: CpuAppraisal, status: TrustTier): JsonObject {
  return {
    "ear.status": status,
    "ear.trustworthiness-vector": cpu.vector,
    "ear.appraisal-policy-id": cpu.policyId,
    "ear.veraison.annotated-evidence": {
      [cpu.tee]: cpu.claims,
      report_data: cpu.reportData,
      runtime_data_claims: cpu.runtimeData,
      ...(cpu.initData === null ? {} : { init_data: cpu.initData }),
    },
  };
}

function publicJwkOf(signer: EarSigner): Record<string, string> {
  const {
    kty = "",
    crv = "",
    x = "",
    y = "",
  } = createPublicKey(signer.privateKey).export({
    format: "jwk",
  });
  return { kty, crv, x, y, alg: signer.algorithm };
}
