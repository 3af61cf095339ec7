import type { SnpReport } from "./snp-report.ts";

/** Simulated Evidence: a report of AMD's layout under a simulation root. */
export type SimSnpEvidence = {
  readonly type: "sim-snp";
  readonly report: SnpReport;
};

/** Evidence of one of the known kinds, parsed. @see RFC 9334 section 8.1 */
export type Evidence = SimSnpEvidence;

/** Evidence that names hardware: every kind but the simulated ones. */
export type HardwareEvidence = Exclude<Evidence, { readonly type: `sim-${string}` }>;
