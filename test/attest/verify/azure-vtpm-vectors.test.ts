import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError, toBase64Url } from "../../../src/base/index.ts";
import {
  encodeDcapWireCollateral,
  parseQuoteCollateralV3,
} from "../../../src/attest/collateral/dcap-collateral.ts";
import { parseAmdHostCertificates } from "../../../src/attest/evidence/amd-host-certificates.ts";
import { parseAzureVtpmJson } from "../../../src/attest/evidence/azure-vtpm-json.ts";
import { parseDcapQuote } from "../../../src/attest/evidence/dcap-quote.ts";
import { parseTpmQuote } from "../../../src/attest/evidence/tpm-attest.ts";
import { verifyAzureVtpmEvidence } from "../../../src/attest/verify/azure-vtpm.ts";
import { tdQuoteByDcap } from "../../../src/attest/verify/td-quote.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import { dcapIndex, vectorJson } from "../dcap-vectors.ts";
import { VTPM_EVIDENCE_FILES, vtpmEvidenceJson } from "../evidence/azure-vtpm-vectors.ts";
import type { VtpmEvidenceFile } from "../evidence/azure-vtpm-vectors.ts";
import { tdQuoteSays } from "../vtpm-forms.ts";
import { skip, vectorText } from "../vectors.ts";

const NOW_MS = Date.UTC(2026, 5, 1);

/** Genoa's ASK and ARK are not among the vectors; the published sample is denied. */
const DIFFERENT: Partial<Record<VtpmEvidenceFile, string>> = {
  "azure-vtpm/trustee-az-snp-vtpm-evidence-genoa.json": "attest.not_verified",
  "caci/cleanroom-cvm-insecure-virtual-encryption-attestation.json": "attest.denied",
};

function wireOfFile(file: VtpmEvidenceFile, collateral: WireEvidence["collateral"]): WireEvidence {
  const type = file.includes("tdx") ? "az-tdx-vtpm" : "az-snp-vtpm";
  return { type, evidence: toBase64Url(vtpmEvidenceJson(file)), collateral };
}

function partsOf(file: VtpmEvidenceFile) {
  return parseAzureVtpmJson(vtpmEvidenceJson(file));
}

/** The nonce that the file's attester was given. */
function nonceOf(file: VtpmEvidenceFile): Uint8Array {
  return parseTpmQuote(partsOf(file).quote.message).extraData;
}

function milanCollateral(): WireEvidence["collateral"] {
  const { ark, ask } = parseAmdHostCertificates(vectorText("caci/uvm-host-amd-certificate.json"));
  return { ark: toBase64Url(ark), ask: toBase64Url(ask) };
}

describe("Azure's vTPMs on SEV-SNP verify up to AMD's root", { skip }, () => {
  for (const file of VTPM_EVIDENCE_FILES.filter((name) => !name.includes("tdx")))
    test(file, () => {
      const run = (qualifyingData: Uint8Array) =>
        verifyAzureVtpmEvidence(wireOfFile(file, milanCollateral()), {
          nowMs: NOW_MS,
          qualifyingData,
          snpProfile: "snp",
          verifyTdQuote: tdQuoteByDcap(),
        });
      const nonce = nonceOf(file);
      const code = DIFFERENT[file];
      if (code !== undefined) return assert.throws(() => run(nonce), { code });
      const { evidence, simulated } = run(nonce);
      assert.equal(simulated, false);
      assert.ok(evidence.type === "az-snp-vtpm");
      assert.equal(evidence.snp.product, "Milan");
      assert.equal(evidence.report.vmpl, 0);
      assert.deepEqual([...evidence.vtpm.pcrs], [...partsOf(file).pcrs]);
      const replayed = Uint8Array.from([...nonce.subarray(1), 0]);
      assert.throws(() => run(replayed), { code: "attest.not_verified", message: /another nonce/ });
    });
});

/** Collateral and time of the index for a TD quote, in DCAP's wire form. */
function dcapCollateral(
  file: VtpmEvidenceFile,
): { readonly nowMs: number; readonly collateral: WireEvidence["collateral"] } | null {
  const id = `attested-tls-${/azure-tdx-[a-z0-9-]+/.exec(file)?.[0] ?? ""}`;
  const given = dcapIndex.quotes.find((quote) => quote.id === id)?.collateral[0];
  if (given === undefined) return null;
  const collateral = encodeDcapWireCollateral(parseQuoteCollateralV3(vectorJson(given.file)));
  return { nowMs: given.verifyAt * 1000, collateral };
}

describe("Azure's vTPMs on TDX verify", { skip }, () => {
  for (const file of VTPM_EVIDENCE_FILES.filter((name) => name.includes("tdx")))
    test(`${file}${file.includes("flashbots") ? ", up to Intel's root" : ", the TD quote's own chain left out: its collateral is not among the vectors"}`, () => {
      const dcap = dcapCollateral(file);
      assert.equal(dcap !== null, file.includes("flashbots"));
      const quote = parseDcapQuote(partsOf(file).tdQuote ?? new Uint8Array());
      assert.ok(quote.tee === "tdx");
      const options = { nowMs: dcap?.nowMs ?? NOW_MS, snpProfile: "snp" as const };
      const wire = wireOfFile(file, dcap?.collateral ?? {});
      const run = (qualifyingData: Uint8Array) =>
        dcap === null
          ? verifyAzureVtpmEvidence(wire, {
              ...options,
              qualifyingData,
              verifyTdQuote: tdQuoteSays(quote.body.reportData),
            })
          : verifyAzureVtpmEvidence(wire, {
              ...options,
              qualifyingData,
              verifyTdQuote: tdQuoteByDcap(),
            });
      const { evidence, profile, simulated } = run(nonceOf(file));
      assert.deepEqual({ profile, simulated }, { profile: "tdx", simulated: false });
      assert.equal(evidence.type, "az-tdx-vtpm");
      assert.throws(() => run(new Uint8Array(9)), { message: /another nonce/ });
    });
});

test("a TD quote of another machine with the right collateral is refused", { skip }, () => {
  const [first, second] = VTPM_EVIDENCE_FILES.filter((name) => name.includes("flashbots"));
  assert.ok(first !== undefined && second !== undefined);
  const dcap = dcapCollateral(second);
  const foreign = partsOf(second).tdQuote ?? new Uint8Array();
  assert.throws(
    () =>
      verifyAzureVtpmEvidence(wireOfFile(first, dcap?.collateral ?? {}), {
        nowMs: dcap?.nowMs ?? 0,
        qualifyingData: nonceOf(first),
        snpProfile: "snp",
        verifyTdQuote: (input) => tdQuoteByDcap()({ ...input, quote: foreign }),
      }),
    { code: "attest.not_verified", message: /report data differ/ },
  );
});

const isRefusal = (error: unknown): boolean =>
  isPpmlError(error, "attest.invalid") ||
  isPpmlError(error, "attest.not_verified") ||
  isPpmlError(error, "attest.unsupported");

test(
  "a flipped bit anywhere in Azure's SNP Evidence is refused, but for hex letters' case",
  { skip },
  () => {
    const files = VTPM_EVIDENCE_FILES.filter(
      (file) => !file.includes("tdx") && !(file in DIFFERENT),
    );
    const known = files.map((file) => ({
      wire: wireOfFile(file, milanCollateral()),
      json: vtpmEvidenceJson(file),
      qualifyingData: nonceOf(file),
    }));
    fc.assert(
      fc.property(fc.constantFrom(...known), fc.nat(), (evidence, at) => {
        const offset = (at >>> 3) % evidence.json.byteLength;
        const before = evidence.json[offset] ?? 0;
        const json = evidence.json.with(offset, before ^ (1 << (at & 7)));
        const run = () =>
          verifyAzureVtpmEvidence(
            { ...evidence.wire, evidence: toBase64Url(json) },
            {
              nowMs: NOW_MS,
              qualifyingData: evidence.qualifyingData,
              snpProfile: "snp",
              verifyTdQuote: tdQuoteByDcap(),
            },
          );
        if (isHexLetter(evidence.json, offset) && (at & 7) === 5) run();
        else assert.throws(run, isRefusal, `offset ${offset}, bit ${at & 7}`);
      }),
      { numRuns: 400 },
    );
  },
);

/** A letter within a string of 64 hex digits or more. */
function isHexLetter(json: Uint8Array, offset: number): boolean {
  const text = Buffer.from(json).toString("latin1");
  const start = text.lastIndexOf('"', offset - 1) + 1;
  const word = text.slice(start, text.indexOf('"', offset));
  return /^[0-9a-f]{64,}$/.test(word) && /[a-f]/.test(text.charAt(offset));
}
