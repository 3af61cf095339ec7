import { equalBytes } from "../base/index.ts";
import type { AttestationResult } from "../attest/appraise/appraise.ts";
import { expectedBinding } from "../attest/appraise/binding.ts";

/** Tells whether the Evidence was appraised for exactly these runtime data, and binds them. */
export function bindsExactly(result: AttestationResult, runtimeData: Uint8Array): boolean {
  return holdsExactly(result, expectedBinding(result.verified.evidence, runtimeData));
}

/** Tells whether the Evidence was appraised for exactly these bytes, and holds them. */
export function holdsExactly(result: AttestationResult, bytes: Uint8Array): boolean {
  const bound = result.data.outcomes.find((outcome) => outcome.claim === "reportData");
  return bound?.outcome === "met" && equalBytes(result.reportData, bytes);
}
