import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import { requireCocoTee, wireOfCocoEvidence } from "../../../src/attest/evidence/coco-evidence.ts";
import { createSnpForm, snpFormReport } from "../../../src/attest/sim/snp-form.ts";
import { verifySnpEvidence } from "../../../src/attest/verify/snp.ts";
import { parsePemCertificates } from "../../../src/attest/x509/pem.ts";
import { fromBase64Url, isPpmlError, toBase64, toHex } from "../../../src/base/index.ts";
import type { ErrorCode } from "../../../src/base/index.ts";
import { parseAmdHostCertificates } from "../../../src/attest/evidence/amd-host-certificates.ts";
import { NOW_MS } from "../fixture.ts";
import { skip, vectorBytes, vectorText } from "../vectors.ts";
import { cocoReportOf } from "./coco-form.ts";

function refuses(code: ErrorCode, work: () => unknown): void {
  assert.throws(work, (error) => isPpmlError(error, code));
}

const key = () => generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
const keys = { ark: key(), authority: key() };

describe("a CoCo guest's Evidence", () => {
  for (const [product, version] of [
    ["Milan", 2],
    ["Milan", 3],
    ["Genoa", 3],
    ["Genoa", 5],
    ["Turin", 3],
    ["Turin", 5],
  ] as const)
    test(`an SNP report of ${product}, version ${version}, is the same 1184 bytes again`, () => {
      const form = createSnpForm({ product, kind: "vcek", keys, nowMs: NOW_MS });
      const report = snpFormReport(form, version);
      const wire = wireOfCocoEvidence("snp", {
        attestation_report: cocoReportOf(report),
        cert_chain: null,
      });
      assert.equal(toHex(fromBase64Url(wire.evidence)), toHex(report));
      assert.deepEqual(wire.collateral, {});
    });

  test("a report of real hardware verifies with the host's certificates", { skip }, () => {
    const report = vectorBytes("snp/sev-report-milan.bin").subarray(0, 1184);
    const [vcek] = parsePemCertificates(vectorText("snp/sev-report-milan.vcek.pem"));
    const { ark, ask } = parseAmdHostCertificates(vectorText("caci/uvm-host-amd-certificate.json"));
    assert.ok(vcek);
    const wire = wireOfCocoEvidence("snp", {
      attestation_report: cocoReportOf(report),
      cert_chain: [
        { cert_type: "ARK", data: [...ark] },
        { cert_type: "ASK", data: [...ask] },
        { cert_type: "VCEK", data: [...vcek] },
        { cert_type: { OTHER: "00000000-0000-0000-0000-000000000001" }, data: [1] },
        { cert_type: "Empty", data: [] },
      ],
    });
    const { evidence } = verifySnpEvidence(wire, { nowMs: NOW_MS });
    assert.equal(toHex(evidence.report.reportData), toHex(report.subarray(0x50, 0x90)));
  });

  test("a changed field no longer verifies", { skip }, () => {
    const report = vectorBytes("snp/sev-report-milan.bin").subarray(0, 1184);
    const [vcek] = parsePemCertificates(vectorText("snp/sev-report-milan.vcek.pem"));
    const { ark, ask } = parseAmdHostCertificates(vectorText("caci/uvm-host-amd-certificate.json"));
    const chain = [
      { cert_type: "ARK", data: [...ark] },
      { cert_type: "ASK", data: [...ask] },
      { cert_type: "VCEK", data: [...(vcek ?? [])] },
    ];
    const fields = { ...cocoReportOf(report), guest_svn: 77 };
    const wire = wireOfCocoEvidence("snp", { attestation_report: fields, cert_chain: chain });
    refuses("attest.not_verified", () => verifySnpEvidence(wire, { nowMs: NOW_MS }));
  });

  test("TDX and SGX bring their quote; the event log is not read", () => {
    const quote = Uint8Array.of(4, 0, 2, 0);
    const text = toBase64(quote);
    for (const log of [null, "AAAA", undefined]) {
      const wire = wireOfCocoEvidence("tdx", { cc_eventlog: log, quote: text });
      assert.deepEqual(wire, { type: "tdx", evidence: "BAACAA", collateral: {} });
    }
    assert.equal(wireOfCocoEvidence("sgx", { quote: text }).type, "sgx");
  });

  test("an Azure vTPM's JSON stays as it is", { skip }, () => {
    const json: unknown = JSON.parse(vectorText("azure-vtpm/trustee-az-snp-vtpm-evidence-v2.json"));
    const wire = wireOfCocoEvidence("az-snp-vtpm", json);
    const bytes = fromBase64Url(wire.evidence);
    assert.deepEqual(JSON.parse(Buffer.from(bytes).toString("utf8")), json);
  });

  test("T156: other forms, missing and unknown members, and numbers that are none are refused", () => {
    const form = createSnpForm({ product: "Genoa", kind: "vcek", keys, nowMs: NOW_MS });
    const good = cocoReportOf(snpFormReport(form, 3));
    const snp = (changes: Record<string, unknown>, chain: unknown = null) =>
      wireOfCocoEvidence("snp", {
        attestation_report: { ...good, ...changes },
        cert_chain: chain,
      });
    assert.equal(snp({}).type, "snp");
    const entry = { cert_type: "VCEK", data: [1, 2, 3] };
    for (const work of [
      () => snp({ version: 4 }),
      () => snp({ more: 1 }),
      () => snp({ policy: 2 ** 53 }),
      () => snp({ policy: -1 }),
      () => snp({ measurement: "00" }),
      () => snp({ measurement: Array<number>(47).fill(0) }),
      () => snp({ measurement: Array<number>(48).fill(256) }),
      () => snp({ key_info: 8 }),
      () => snp({ signature: { r: Array<number>(72).fill(1), s: Array<number>(72).fill(0) } }),
      () =>
        snp(
          {},
          Array.from({ length: 17 }, () => entry),
        ),
      () => snp({}, [{ ...entry, cert_type: "XYZ" }]),
      () => wireOfCocoEvidence("snp", { attestation_report: good }),
      () => wireOfCocoEvidence("tdx", { quote: "%%" }),
      () => wireOfCocoEvidence("tdx", { quote: "AA=" }),
      () => wireOfCocoEvidence("sgx", { quote: "AAAA", more: 1 }),
      () => wireOfCocoEvidence("sgx", null),
    ])
      refuses("attest.invalid", work);
    for (const member of Object.keys(good)) {
      const { [member]: _, ...rest } = good;
      refuses("attest.invalid", () =>
        wireOfCocoEvidence("snp", { attestation_report: rest, cert_chain: null }),
      );
    }
  });

  test("T155: sample is refused everywhere, simulated TEEs outside a simulation", () => {
    for (const tee of ["sample", "sampledevice"])
      for (const simulated of [true, false])
        refuses("attest.simulated", () => requireCocoTee(tee, { simulated }));
    refuses("attest.simulated", () => requireCocoTee("sim-snp", { simulated: false }));
    requireCocoTee("sim-snp", { simulated: true });
    for (const tee of ["snp", "tdx", "sgx", "az-snp-vtpm", "az-tdx-vtpm"])
      requireCocoTee(tee, { simulated: false });
    for (const tee of ["nvidia", "csv", "cca", "se", "tpm", ""])
      refuses("attest.unsupported", () => requireCocoTee(tee, { simulated: true }));
  });
});
