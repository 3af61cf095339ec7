import { equalBytes, PpmlError, sha256, toBase64Url, toHex, utf8 } from "../../base/index.ts";
import type { AmdHostCertificates } from "../evidence/amd-host-certificates.ts";
import { HCL_REPORT_NV_INDEX, parseHclReport } from "../evidence/hcl-report.ts";
import type { HclReport } from "../evidence/hcl-report.ts";
import { parseTpmQuote } from "../evidence/tpm-attest.ts";
import { parseTpmPublic } from "../evidence/tpm-public.ts";
import { parseTpmSignature } from "../evidence/tpm-signature.ts";
import type { Attester } from "./attester.ts";
import { evidenceOf, requireReportData } from "./evidence-of.ts";
import type { TpmChannel } from "./tpm-channel.ts";
import { quoteTpm, readNvIndex, readPcrs, readTpmPublic } from "./tpm-commands.ts";
import type { TpmQuoteAnswer } from "./tpm-commands.ts";

/** Where Azure's paravisor keeps the vTPM's attestation key. @see learn.microsoft.com/azure/confidential-computing/guest-attestation-confidential-virtual-machines-design */
export const AZURE_AK_HANDLE = 0x81000003;

/** The report data that goes into the quote: a SHA-384, whose zeros up to 64 stay away. */
const EXTRA_DATA_BYTES = 48;
const ATTEMPTS = 5;

/**
 * The Attester of an Azure confidential VM: the paravisor's report from the vTPM, and a TPM2_Quote
 * by the attestation key that the report binds, with the report data as its extraData. Evidence is
 * the JSON of CoCo's attesters of the same names (version 1).
 * @see learn.microsoft.com/azure/confidential-computing/guest-attestation-confidential-virtual-machines-design
 * @see docs/attestation.md section "Azure vTPM"
 */
export function openAzureVtpmAttester(options: {
  /** What the report holds. @see probeAzureVtpm */
  readonly tee: "snp" | "tdx";
  readonly tpm: TpmChannel;
  /** The chip's certificates in DER, from Azure's host: `fetchAzureAmdCertificates`. */
  readonly fetchCertificates: () => Promise<Pick<AmdHostCertificates, "vcek" | "ask" | "ark">>;
  /** Turns the TDREPORT into a TD quote: `fetchTdQuote`. */
  readonly fetchTdQuote: (tdReport: Uint8Array) => Promise<Uint8Array>;
}): Attester {
  const { tee, tpm } = options;
  const evidenceType = tee === "snp" ? "az-snp-vtpm" : "az-tdx-vtpm";
  return {
    evidenceType,
    attest: async (reportData) => {
      requireReportData(reportData);
      const bytes = await readNvIndex(tpm, HCL_REPORT_NV_INDEX);
      const report = parseHclReport(bytes);
      if (report.type !== tee)
        throw new PpmlError(
          "attest.unavailable",
          `expected a ${tee} report in the vTPM, got a ${report.type} one`,
        );
      const quote = await quotePcrs(tpm, extraDataOf(reportData));
      const { json, collateral } = await hardwarePart(options, report.hardwareReport);
      const evidence = { version: 1, tpm_quote: quote, hcl_report: toBase64Url(bytes), ...json };
      return evidenceOf(evidenceType, utf8(JSON.stringify(evidence)), collateral);
    },
  };
}

/** An SNP report needs its chip's certificates, a TDREPORT a quote in its place. */
async function hardwarePart(
  options: Parameters<typeof openAzureVtpmAttester>[0],
  hardwareReport: Uint8Array,
): Promise<{
  readonly json: Readonly<Record<string, string>>;
  readonly collateral: Readonly<Record<string, Uint8Array>>;
}> {
  if (options.tee === "tdx") {
    const quote = await options.fetchTdQuote(hardwareReport);
    return { json: { td_quote: toBase64Url(quote) }, collateral: {} };
  }
  const { vcek, ask, ark } = await options.fetchCertificates();
  return { json: { vcek: toBase64Url(vcek) }, collateral: { ark, ask } };
}

/** What this machine's vTPM says it stands on. Rejects with attest.unavailable, attest.invalid, attest.unsupported. */
export async function probeAzureVtpm(tpm: TpmChannel): Promise<HclReport["type"]> {
  return parseHclReport(await readNvIndex(tpm, HCL_REPORT_NV_INDEX)).type;
}

/**
 * Azure's vTPM takes a SHA-384 for certain, 64 bytes not; report data is a SHA-384 that zeros fill.
 * @see docs/format.md section "Runtime data"
 */
function extraDataOf(reportData: Uint8Array): Uint8Array {
  if (reportData.subarray(EXTRA_DATA_BYTES).some((byte) => byte !== 0))
    throw new PpmlError(
      "attest.invalid",
      "expected report data whose last 16 bytes are zero: a vTPM binds a SHA-384",
    );
  return reportData.slice(0, EXTRA_DATA_BYTES);
}

type QuoteJson = {
  readonly signature: string;
  readonly message: string;
  readonly pcrs: readonly string[];
};

/** The PCRs and a quote of just these: where one was extended between, both are asked for again. */
async function quotePcrs(tpm: TpmChannel, extraData: Uint8Array): Promise<QuoteJson> {
  await requireAttestationKey(tpm);
  for (let tried = 0; tried < ATTEMPTS; tried += 1) {
    const pcrs = await readPcrs(tpm);
    const quote = await quoteTpm(tpm, { handle: AZURE_AK_HANDLE, qualifyingData: extraData });
    const { extraData: bound, pcrDigest } = parseTpmQuote(quote.message);
    if (!equalBytes(bound, extraData))
      throw new PpmlError("attest.unavailable", "the vTPM quoted other data than was asked for");
    if (equalBytes(pcrDigest, sha256(...pcrs)))
      return {
        signature: toHex(bareSignature(quote)),
        message: toHex(quote.message),
        pcrs: pcrs.map(toHex),
      };
  }
  throw new PpmlError(
    "attest.unavailable",
    "the vTPM's PCRs changed each time between being read and being quoted",
  );
}

/** A key that would sign anything proves nothing: the one at the handle has to be the paravisor's. */
async function requireAttestationKey(tpm: TpmChannel): Promise<void> {
  const key = parseTpmPublic(await readTpmPublic(tpm, AZURE_AK_HANDLE));
  if (!key.restricted || !key.sign || !key.fixedTpm)
    throw new PpmlError(
      "attest.unavailable",
      `the vTPM's key at 0x${AZURE_AK_HANDLE.toString(16)} is no attestation key: it has to be restricted, to sign, and to stay in its TPM`,
    );
}

/** CoCo's form carries the bare signature, and means RSASSA with SHA-256. */
function bareSignature(quote: TpmQuoteAnswer): Uint8Array {
  const signature = parseTpmSignature(quote.signature);
  if (signature.scheme !== "rsassa" || signature.hash !== "sha256")
    throw new PpmlError(
      "attest.unavailable",
      `expected the vTPM to sign with RSASSA and SHA-256, got ${signature.scheme} and ${signature.hash}`,
    );
  return signature.signature;
}
