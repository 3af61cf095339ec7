import type { WireEvidence } from "../../format/protocol.ts";

/** The Attester of one kind of TEE, seen from inside it. @see RFC 9334 section 2.1 */
export type Attester = {
  /** The wire type of its Evidence. */
  readonly evidenceType: string;
  /**
   * Collects Evidence that binds `reportData` (64 bytes).
   * Rejects with attest.unavailable where the TEE does not answer.
   */
  readonly attest: (reportData: Uint8Array) => Promise<WireEvidence>;
};
