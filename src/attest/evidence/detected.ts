import type { WireEvidence } from "../../format/protocol.ts";
import type { JsonObject } from "./maa-evidence.ts";

/** Evidence as somebody kept it: what it is by its form, nothing verified. */
export type DetectedEvidence = {
  /** As it goes to a verifier; collateral only where the file carried it. */
  readonly wire: WireEvidence;
  /** The runtime data that it was made for, where the file says; what a receipt of a result has. */
  readonly runtimeData: JsonObject | null;
  /** When the job ran whose receipt has it, in milliseconds since 1970; null for other files. */
  readonly recorded: { readonly startedAtMs: number; readonly finishedAtMs: number } | null;
};
