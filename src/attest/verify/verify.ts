import { PpmlError } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import type { HardwareEvidence } from "../evidence/evidence.ts";
import type { Verified } from "./verified.ts";

/** Facts that a verification needs besides the Evidence. */
export type VerifyOptions = {
  /** Validity is checked for this time: milliseconds since 1970. */
  readonly nowMs: number;
};

/**
 * Verifies Evidence of hardware, for production. Nothing here reaches the simulation's code: every
 * `sim-*` type is refused. This version knows no hardware type yet.
 * @throws attest.simulated, attest.unsupported
 */
// oxlint-disable-next-line require-await -- tokens are verified asynchronously; a refusal is a rejection
export async function verifyEvidence(
  wire: WireEvidence,
  _options: VerifyOptions,
): Promise<Verified<HardwareEvidence>> {
  if (wire.type.startsWith("sim-"))
    throw new PpmlError(
      "attest.simulated",
      `expected Evidence of hardware, got ${wire.type}: simulated Evidence proves nothing about a machine; run the job in a TEE, or use a vault made for simulation`,
      { detail: { type: wire.type } },
    );
  throw new PpmlError(
    "attest.unsupported",
    `Evidence of type ${wire.type} is not known to this version`,
    { detail: { type: wire.type } },
  );
}
