import type { TeeProfile } from "../../format/attestation-result.ts";

declare const verifiedBrand: unique symbol;

/**
 * Evidence whose signature and certificate chain were checked up to a pinned root. It says what
 * runs where; whether that is acceptable is for `appraise` to say. Only verifiers make one.
 */
export type Verified<E> = {
  readonly evidence: E;
  /** What the platform excludes, by name. */
  readonly profile: TeeProfile;
  /** True where no hardware stands behind it. */
  readonly simulated: boolean;
  /** The time that validity was checked for: milliseconds since 1970. */
  readonly verifiedAt: number;
  readonly [verifiedBrand]: true;
};

/** Mints a Verified. For verifiers alone: not in the stage's public list (a test holds its importers). */
export function mintVerified<E>(fields: Omit<Verified<E>, typeof verifiedBrand>): Verified<E> {
  return Object.freeze({ ...fields }) as Verified<E>;
}
