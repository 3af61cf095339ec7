import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { fromUtf8, toBase64Url, utf8 } from "../../../src/base/index.ts";
import { issueCrl } from "../../../src/attest/sim/crl.ts";
import {
  encodeHclReport,
  hclReportData,
  hclRuntimeData,
  quoteVtpm,
  tdReportStruct,
} from "../../../src/attest/sim/vtpm-form.ts";
import { verifyAzureVtpmEvidence } from "../../../src/attest/verify/azure-vtpm.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import { formOf, keys, milan, NOW_MS, withPart } from "../snp-forms.ts";
import {
  attestationKey,
  pcrs,
  qualifyingData,
  reportData,
  runtimeData,
  snpHclReport,
  snpVtpmWire,
  tdQuoteSays,
  tdxVtpmWire,
  userData,
  verifyVtpm,
} from "../vtpm-forms.ts";

const refuses = (
  wire: WireEvidence,
  expected: { message: RegExp; code?: string },
  options: Parameters<typeof verifyVtpm>[1] = {},
) =>
  assert.throws(() => verifyVtpm(wire, options), {
    name: "PpmlError",
    code: expected.code ?? "attest.not_verified",
    message: expected.message,
  });

test("a vTPM on SEV-SNP verifies: report, runtime data, attestation key, quote", () => {
  for (const snpProfile of ["snp", "snp-node"] as const) {
    const { evidence, profile, simulated, verifiedAt } = verifyVtpm(snpVtpmWire(), { snpProfile });
    assert.deepEqual(
      { profile, simulated, verifiedAt },
      { profile: snpProfile, simulated: false, verifiedAt: NOW_MS },
    );
    assert.equal(evidence.type, "az-snp-vtpm");
    assert.ok(evidence.type === "az-snp-vtpm");
    assert.equal(evidence.snp.product, "Milan");
    const { vtpm } = evidence;
    assert.deepEqual(vtpm.extraData, qualifyingData);
    assert.deepEqual([...vtpm.pcrs.values()], pcrs);
    assert.deepEqual([...vtpm.pcrs.keys()], [...pcrs.keys()]);
    assert.deepEqual(vtpm.clockInfo, { clock: 1000n, resetCount: 1, restartCount: 0, safe: true });
    assert.deepEqual(vtpm.userData, userData);
    assert.equal(vtpm.vmConfiguration["secure-boot"], true);
    assert.equal(vtpm.attestationKeySha256.byteLength, 32);
  }
});

test("members that newer paravisors add do not hinder", () => {
  // As OpenHCL's AttestationVmConfig writes them.
  const added = {
    "interactive-console-enabled": false,
    "tpm-persisted": true,
    "filtered-vpci-devices-allowed": false,
    "vmgs-provisioner": { id: "3f6b9c0e-0000-4000-8000-0123456789ab", signer: "did:x509:0" },
    "hardware-sealing-policy": "signer",
  };
  const newer = utf8(
    fromUtf8(runtimeData).replace('"vm-configuration":{', (start) =>
      `"more":{"of":[1]},${start}`.concat(JSON.stringify(added).slice(1, -1), ","),
    ),
  );
  for (const wire of [snpVtpmWire({ runtimeData: newer }), tdxVtpmWire({ runtimeData: newer })]) {
    const { vtpm } = verifyVtpm(wire, {
      verifyTdQuote: tdQuoteSays(hclReportData(newer)),
    }).evidence;
    assert.equal(vtpm.vmConfiguration["secure-boot"], true);
  }
});

test("user data that is empty is none", () => {
  const none = utf8(fromUtf8(runtimeData).replace(/"user-data":"[0-9A-Fa-f]+"/i, '"user-data":""'));
  assert.notDeepEqual(none, runtimeData);
  assert.equal(verifyVtpm(snpVtpmWire({ runtimeData: none })).evidence.vtpm.userData, null);
});

test("a vTPM on TDX verifies with the TD quote that says the same report data", () => {
  const { evidence, profile } = verifyVtpm(tdxVtpmWire());
  assert.equal(profile, "tdx");
  assert.equal(evidence.type, "az-tdx-vtpm");
  assert.deepEqual(evidence.vtpm.extraData, qualifyingData);
});

test("the TD quote's verifier gets the quote, the collateral and the time", () => {
  const seen: unknown[] = [];
  verifyVtpm(tdxVtpmWire(), {
    verifyTdQuote: (input) => {
      seen.push(input);
      return tdQuoteSays(reportData)(input);
    },
  });
  assert.deepEqual(seen, [
    { quote: new Uint8Array([1, 2, 3]), collateral: { any: "AQ" }, nowMs: NOW_MS },
  ]);
});

test("T: simulated vTPM Evidence is refused by production", () => {
  const options = {
    nowMs: NOW_MS,
    qualifyingData,
    snpProfile: "snp" as const,
    verifyTdQuote: tdQuoteSays(reportData),
  };
  assert.throws(() => verifyAzureVtpmEvidence(snpVtpmWire(), options), {
    code: "attest.not_verified",
    message: /pinned root key/,
  });
});

test("T: a quote for another nonce is refused", () => {
  const replayed = Uint8Array.from(qualifyingData);
  replayed[0] = 0;
  for (const expected of [replayed, new Uint8Array(), qualifyingData.subarray(1)])
    for (const wire of [snpVtpmWire(), tdxVtpmWire()])
      refuses(wire, { message: /made for another nonce/ }, { qualifyingData: expected });
});

test("a quote by another key than the report's attestation key is refused", () => {
  const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const foreign = quoteVtpm({ attestationKey: other, qualifyingData, pcrs });
  for (const wire of [snpVtpmWire({ quote: foreign }), tdxVtpmWire({ quote: foreign })])
    refuses(wire, { message: /not signed by the attestation key/ });
  // Runtime data with the other key, which the report does not bind.
  const swapped = hclRuntimeData({ attestationKey: other, userData });
  refuses(snpVtpmWire({ quote: foreign, runtimeData: swapped, report: { reportData } }), {
    message: /does not bind the HCL report's runtime data/,
  });
});

test("PCR values that the TPM did not quote are refused", () => {
  const changed = pcrs.with(7, new Uint8Array(32));
  const swapped = pcrs.with(0, pcrs[1] ?? new Uint8Array()).with(1, pcrs[0] ?? new Uint8Array());
  for (const values of [changed, swapped])
    refuses(snpVtpmWire({ pcrs: values }), { message: /not those that the TPM quoted/ });
  refuses(snpVtpmWire({ pcrs: pcrs.slice(1) }), {
    code: "attest.invalid",
    message: /expected 24 PCR values/,
  });
});

test("report data that go on after the digest are refused", () => {
  const longer = Uint8Array.from(reportData);
  longer[63] = 1;
  refuses(snpVtpmWire({ report: { reportData: longer } }), { message: /does not bind/ });
  refuses(tdxVtpmWire(), { message: /report data differ/ }, { verifyTdQuote: tdQuoteSays(longer) });
});

test("a TD quote of another TD than the HCL report's is refused", () => {
  const other = hclReportData(utf8("other"));
  refuses(tdxVtpmWire(), { message: /report data differ/ }, { verifyTdQuote: tdQuoteSays(other) });
  // The TDREPORT agrees with the quote, the runtime data do not.
  const hclReport = encodeHclReport({
    type: "tdx",
    hardwareReport: tdReportStruct(other),
    runtimeData,
  });
  refuses(
    tdxVtpmWire({ hclReport }),
    { message: /does not bind/ },
    { verifyTdQuote: tdQuoteSays(other) },
  );
});

test("a report that the guest itself asked for (VMPL 1 to 3) is refused", () => {
  for (const vmpl of [1, 2, 3])
    refuses(snpVtpmWire({ report: { vmpl } }), { message: /the paravisor's report \(VMPL 0\)/ });
});

test("a report of another kind than the wire type is refused", () => {
  const message = /expected the report of a TEE of kind az-tdx-vtpm, got one of snp/;
  refuses({ ...snpVtpmWire(), type: "az-tdx-vtpm" }, { code: "attest.invalid", message });
  refuses(
    { ...tdxVtpmWire(), type: "az-snp-vtpm" },
    { code: "attest.invalid", message: /kind az-snp-vtpm, got one of tdx/ },
  );
  for (const type of ["snp", "tdx", "sim-snp"])
    refuses({ ...snpVtpmWire(), type }, { code: "attest.unsupported", message: /got/ });
});

test("SNP's chain is checked as for a plain report: chip, root, revocation", () => {
  const other = formOf();
  refuses(snpVtpmWire({ vcek: other.certificates.key }), { message: /of another chip/ });
  const genoa = formOf("Genoa");
  refuses(withPart(snpVtpmWire({}, genoa), "ark", milan.certificates.ark), {
    message: /was not issued by|is not signed by|named|another chip/,
  });
  const crl = issueCrl({
    issuer: milan.names.ark,
    issuerKey: keys.ark,
    thisUpdateMs: NOW_MS - 1,
    nextUpdateMs: NOW_MS + 1,
    serials: [],
  });
  const { evidence } = verifyVtpm(withPart(snpVtpmWire(), "crl", crl));
  assert.ok(evidence.type === "az-snp-vtpm" && evidence.snp.revocationChecked);
});

test("collateral that is missing or not known is refused", () => {
  const wire = snpVtpmWire();
  const message = /expected the collateral ark and ask/;
  for (const collateral of [{}, { ark: wire.collateral["ark"] ?? "" }])
    refuses({ ...wire, collateral }, { code: "attest.invalid", message });
  refuses(withPart(wire, "vcek", milan.certificates.key), { code: "attest.invalid", message });
});

test("runtime data with unknown keys, no or two attestation keys are refused", () => {
  const text = fromUtf8(runtimeData);
  const [, key = ""] = /"keys":\[(.*?\})\]/.exec(text) ?? [];
  const cases: readonly (readonly [string, RegExp])[] = [
    [text.replace('"kid"', '"more":1,"kid"'), /Unrecognized key/],
    [text.replace(/("user-data":")[0-9A-Fa-f]{2}/i, "$1"), /64 bytes in hex, or nothing/],
    [text.replace("HCLAkPub", "HCLEkPub"), /has no key HCLAkPub/],
    [text.replace(key, `${key},${key}`), /more than one key HCLAkPub/],
    [text.replace('"secure-boot":true', '"secure-boot":1'), /secure-boot/],
    ["[]", /expected the JSON/],
    ["{", /is not valid JSON/],
    [text.replace(/^\{/, `{"keys":[${key}],`), /the member "keys" twice in one object/],
    [text.replace('"n":', '"\\u006e":"AA","n":'), /the member "n" twice in one object/],
    [text.replace('"secure-boot"', '"secure-boot":false,"secure-boot"'), /"secure-boot" twice/],
    [text.replace(/^\{/, '{"__proto__":{"user-data":"00"},'), /"__proto__" which is not allowed/],
  ];
  for (const [changed, message] of cases) {
    assert.notEqual(changed, text);
    refuses(snpVtpmWire({ runtimeData: utf8(changed) }), { code: "attest.invalid", message });
  }
});

test("a small RSA key in the runtime data is refused before its size is a matter of signatures", () => {
  const small = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
  const weak = hclRuntimeData({ attestationKey: small, userData });
  const weakQuote = quoteVtpm({ attestationKey, qualifyingData, pcrs });
  refuses(snpVtpmWire({ runtimeData: weak, quote: weakQuote }), {
    code: "attest.invalid",
    message: /RSA of 2048 to 4096 bits/,
  });
});

test("hostile lengths in the HCL report are refused", () => {
  const good = snpHclReport(milan);
  const view = (offset: number, value: number): Uint8Array => {
    const bytes = Uint8Array.from(good);
    new DataView(bytes.buffer).setUint32(offset, value, true);
    return bytes;
  };
  // Report size, data size and length of the runtime data.
  for (const offset of [8, 1216, 1232])
    for (const value of [0, 1, 1365, 0x7fffffff, 0xffffffff])
      refuses(snpVtpmWire({ hclReport: view(offset, value) }), {
        code: "attest.invalid",
        message: /lengths do not agree|is cut/,
      });
  for (const length of [0, 31, 1235, 64 * 1024 + 1])
    refuses(snpVtpmWire({ hclReport: new Uint8Array(length) }), {
      code: "attest.invalid",
      message: /HCL report|form/i,
    });
});

test("Evidence that is not JSON of a known form, or over its bound, is refused", () => {
  const wire = snpVtpmWire();
  const of = (text: string): WireEvidence => ({ ...wire, evidence: toBase64Url(utf8(text)) });
  const json = fromUtf8(Buffer.from(wire.evidence, "base64url"));
  for (const text of [
    "",
    "{}",
    "null",
    json.replace('"version":2', '"version":3'),
    json.replace('"version":2', '"version":2,"more":1'),
    json.replace('"signature":"', '"signature":"zz'),
    json.replace('"vcek":"', '"vcek":"*'),
    json.replace('"version":2', '"version":2,"version":2'),
    JSON.stringify("x".repeat(300_000)),
  ])
    refuses(of(text), {
      code: "attest.invalid",
      message: /expected|is not valid JSON|"version" twice/,
    });
});
