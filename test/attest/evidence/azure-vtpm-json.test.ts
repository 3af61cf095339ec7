import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseAzureVtpmJson } from "../../../src/attest/evidence/azure-vtpm-json.ts";
import { parseHclReport } from "../../../src/attest/evidence/hcl-report.ts";
import { parseSnpReport } from "../../../src/attest/evidence/snp-report.ts";
import { parseTdReportStruct } from "../../../src/attest/evidence/td-report-struct.ts";
import { parseTpmQuote } from "../../../src/attest/evidence/tpm-attest.ts";
import { parseTpmQuoteFile } from "../../../src/attest/evidence/tpm-quote-form.ts";
import { sha256, toHex, utf8 } from "../../../src/base/index.ts";
import { skip, vectorBytes } from "../vectors.ts";
import { VTPM_EVIDENCE_FILES, vtpmEvidenceJson } from "./azure-vtpm-vectors.ts";

describe("Evidence of an Azure vTPM is read in its attester's form", { skip }, () => {
  for (const file of VTPM_EVIDENCE_FILES)
    test(file, () => {
      const parts = parseAzureVtpmJson(vtpmEvidenceJson(file));
      const hcl = parseHclReport(parts.hclReport);
      const snp = !file.includes("tdx");
      assert.equal(hcl.type, snp ? "snp" : "tdx");
      assert.equal(parts.vcek !== null, snp);
      assert.equal(parts.tdQuote !== null, !snp);
      assert.equal(parts.pcrs.size, 24);
      const quote = parseTpmQuote(parts.quote.message);
      assert.deepEqual(quote.pcrSelect, [{ hash: "sha256", pcrs: [...parts.pcrs.keys()] }]);
      assert.equal(quote.pcrDigest.byteLength, 32);
    });
});

describe("an HCL report binds its runtime data", { skip }, () => {
  const files = {
    "azure-vtpm/kinvolk-hcl-report-snp.bin": "snp",
    "azure-vtpm/kinvolk-hcl-report-tdx.bin": "tdx",
    "azure-vtpm/trustee-az-snp-vtpm-hcl-report.bin": "snp",
    "azure-vtpm/trustee-az-tdx-vtpm-hcl-report.bin": "tdx",
  } as const;
  for (const [file, type] of Object.entries(files))
    test(file, () => {
      const report = parseHclReport(vectorBytes(file));
      assert.equal(report.type, type);
      const { reportData } =
        type === "snp"
          ? parseSnpReport(report.hardwareReport)
          : parseTdReportStruct(report.hardwareReport);
      assert.equal(toHex(reportData.subarray(0, 32)), toHex(sha256(report.runtimeDataBytes)));
      assert.equal(report.runtimeData.attestationKey.asymmetricKeyDetails?.modulusLength, 2048);
    });
});

test("quotes of the az-cvm-vtpm crate are read", { skip }, () => {
  for (const file of [
    "azure-vtpm/kinvolk-tpm-quote.bin",
    "azure-vtpm/trustee-az-snp-vtpm-quote.bin",
    "azure-vtpm/trustee-az-tdx-vtpm-quote.bin",
  ]) {
    const { message, pcrs } = parseTpmQuoteFile(vectorBytes(file));
    assert.equal(pcrs?.size, 24, file);
    assert.deepEqual(parseTpmQuote(message).extraData, utf8("challenge"), file);
  }
});
