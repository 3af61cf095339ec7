import { generateKeyPairSync } from "node:crypto";
import { toBase64Url } from "../../src/base/index.ts";
import type { SnpEvidence } from "../../src/attest/evidence/snp-evidence.ts";
import type { SnpReport } from "../../src/attest/evidence/snp-report.ts";
import type { SnpForm } from "../../src/attest/sim/snp-form.ts";
import { snpFormReport } from "../../src/attest/sim/snp-form.ts";
import {
  encodeHclReport,
  hclReportData,
  hclRuntimeData,
  quoteVtpm,
  tdReportStruct,
  vtpmEvidenceJson,
} from "../../src/attest/sim/vtpm-form.ts";
import { verifyAzureVtpmEvidenceUnder } from "../../src/attest/verify/azure-vtpm.ts";
import type { AzureVtpmOptions, VerifyTdQuote } from "../../src/attest/verify/azure-vtpm.ts";
import type { WireEvidence } from "../../src/format/protocol.ts";
import { milan, NOW_MS, verifyForm, wireOf } from "./snp-forms.ts";

/** The vTPM's attestation key of this process. */
export const attestationKey = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
export const userData = new Uint8Array(64).fill(0x5d);
/** What the relying party expects in the quote: SHA-384's length, as CoCo sends. */
export const qualifyingData = new Uint8Array(48).fill(0xc4);
export const pcrs: readonly Uint8Array[] = Array.from({ length: 24 }, (_none, index) =>
  new Uint8Array(32).fill(index),
);
export const runtimeData = hclRuntimeData({ attestationKey, userData });
export const reportData = hclReportData(runtimeData);
export const quote = quoteVtpm({ attestationKey, qualifyingData, pcrs });

/** Parts of Evidence that a test may replace. */
export type VtpmChanges = {
  readonly hclReport?: Uint8Array;
  readonly runtimeData?: Uint8Array;
  readonly report?: Partial<SnpReport>;
  readonly quote?: typeof quote;
  readonly pcrs?: readonly Uint8Array[];
  readonly vcek?: Uint8Array;
};

/** The HCL report of a form's chip. */
export function snpHclReport(form: SnpForm, changes: VtpmChanges = {}): Uint8Array {
  const bound = changes.runtimeData ?? runtimeData;
  return encodeHclReport({
    type: "snp",
    hardwareReport: snpFormReport(form, 3, {
      reportData: hclReportData(bound),
      ...changes.report,
    }),
    runtimeData: bound,
  });
}

/** Wire Evidence `az-snp-vtpm` of a form's chip. */
export function snpVtpmWire(changes: VtpmChanges = {}, form: SnpForm = milan): WireEvidence {
  const json = vtpmEvidenceJson({
    hclReport: changes.hclReport ?? snpHclReport(form, changes),
    quote: changes.quote ?? quote,
    pcrs: changes.pcrs ?? pcrs,
    vcek: changes.vcek ?? form.certificates.key,
  });
  return {
    type: "az-snp-vtpm",
    evidence: toBase64Url(json),
    collateral: {
      ark: toBase64Url(form.certificates.ark),
      ask: toBase64Url(form.certificates.authority),
    },
  };
}

/** Wire Evidence `az-tdx-vtpm`; its TD quote is bytes that `tdQuoteSays` vouches for. */
export function tdxVtpmWire(changes: VtpmChanges = {}): WireEvidence {
  const bound = changes.runtimeData ?? runtimeData;
  const json = vtpmEvidenceJson({
    hclReport:
      changes.hclReport ??
      encodeHclReport({
        type: "tdx",
        hardwareReport: tdReportStruct(hclReportData(bound)),
        runtimeData: bound,
      }),
    quote: changes.quote ?? quote,
    pcrs: changes.pcrs ?? pcrs,
    tdQuote: new Uint8Array([1, 2, 3]),
  });
  return { type: "az-tdx-vtpm", evidence: toBase64Url(json), collateral: { any: "AQ" } };
}

/** Stands where DCAP's verifier would: says what the TD quote's report data are. */
export function tdQuoteSays(bytes: Uint8Array): VerifyTdQuote<SnpEvidence> {
  return () => ({ reportData: bytes, verified: verifyForm(milan, wireOf(milan)) });
}

/** Verifies under the shared form's root. */
export function verifyVtpm(
  wire: WireEvidence,
  options: Partial<AzureVtpmOptions<SnpEvidence>> = {},
) {
  return verifyAzureVtpmEvidenceUnder(wire, {
    nowMs: NOW_MS,
    qualifyingData,
    snpProfile: "snp",
    verifyTdQuote: tdQuoteSays(reportData),
    trust: milan.trust,
    ...options,
  });
}
