import type { AzSnpVtpmEvidence, AzTdxVtpmEvidence } from "./azure-vtpm-evidence.ts";
import type { SgxEvidence, SimSgxEvidence, SimTdxEvidence, TdxEvidence } from "./dcap-evidence.ts";
import type { MaaEvidence } from "./maa-evidence.ts";
import type { SnpEvidence } from "./snp-evidence.ts";
import type { SnpReport } from "./snp-report.ts";

/** Simulated Evidence: a report of AMD's layout under a simulation root. */
export type SimSnpEvidence = {
  readonly type: "sim-snp";
  readonly report: SnpReport;
};

/** Evidence of one of the known kinds, parsed. @see RFC 9334 section 8.1 */
export type Evidence =
  | SimSnpEvidence
  | SimSgxEvidence
  | SimTdxEvidence
  | SgxEvidence
  | TdxEvidence
  | SnpEvidence
  | AzSnpVtpmEvidence
  | AzTdxVtpmEvidence<TdxEvidence>
  | MaaEvidence;

/** Evidence that names hardware: every kind but the simulated ones. */
export type HardwareEvidence = Exclude<Evidence, { readonly type: `sim-${string}` }>;
