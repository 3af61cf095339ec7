import { PpmlError } from "../../base/index.ts";

/** The tiers of trust, by their names in JSON. @see draft-ietf-rats-ear, "ear.status" */
export const TRUST_TIERS = ["none", "affirming", "warning", "contraindicated"] as const;
export type TrustTier = (typeof TRUST_TIERS)[number];

/** The claims of a trustworthiness vector. @see draft-ietf-rats-ar4si, "Trustworthiness Claims" */
export const TRUST_CLAIMS = [
  "instance-identity",
  "configuration",
  "executables",
  "file-system",
  "hardware",
  "runtime-opaque",
  "storage-opaque",
  "sourced-data",
] as const;
export type TrustClaim = (typeof TRUST_CLAIMS)[number];

/** Values of -128 to 127 for the claims that the Verifier made. */
export type TrustVector = Readonly<Partial<Record<TrustClaim, number>>>;

/**
 * The tier of one claim's value, an integer of -128 to 127.
 * @throws attest.invalid for any other number
 * @see draft-ietf-rats-ar4si, "Trustworthiness Claims": -1 to 1 none, 2 to 31 and -2 to -32
 * affirming, 32 to 95 and -33 to -96 warning, 96 to 127 and -97 to -128 contraindicated
 */
export function tierOf(value: number): TrustTier {
  if (!Number.isInteger(value) || value < -128 || value > 127)
    throw new PpmlError(
      "attest.invalid",
      `expected a trustworthiness claim of -128 to 127, got ${value}`,
    );
  // The negative half has the same borders, counted from one lower.
  const size = value < 0 ? -value - 1 : value;
  if (value >= -1 && value <= 1) return "none";
  if (size < 32) return "affirming";
  return size < 96 ? "warning" : "contraindicated";
}

/** The least trusted tier among a vector's claims; `none` where it makes no claim. */
export function worstTier(vector: TrustVector): TrustTier {
  const ranks = Object.values(vector).map((value) => rankOf(tierOf(value)));
  return TRUST_TIERS[Math.max(0, ...ranks)] ?? "contraindicated";
}

/**
 * Tells whether a status promises more than the vector beside it. `none` promises nothing.
 * @see draft-ietf-rats-ear, "ear.status": of no higher trust than the worst claim of the vector
 */
export function overstates(status: TrustTier, vector: TrustVector): boolean {
  return status !== "none" && rankOf(status) < rankOf(worstTier(vector));
}

/**
 * Tells whether an overall status promises more than one of those below it. `none` promises nothing.
 * @see draft-ietf-rats-ear-04 section 3, "ear_status"
 */
export function outranks(status: TrustTier, below: readonly TrustTier[]): boolean {
  return status !== "none" && below.some((one) => rankOf(status) < rankOf(one));
}

function rankOf(tier: TrustTier): number {
  return TRUST_TIERS.indexOf(tier);
}
