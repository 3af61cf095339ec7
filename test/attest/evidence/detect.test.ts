import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { detectEvidence } from "../../../src/attest/evidence/detect.ts";
import { parseSnpReport } from "../../../src/attest/evidence/snp-report.ts";
import {
  concatBytes,
  fromBase64Url,
  isPpmlError,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
} from "../../../src/base/index.ts";
import { certificateTable } from "../collect/certificate-table.ts";
import { tokenOf as earTokenOf } from "../ear/fixture.ts";
import { partOf, pki } from "../fixture.ts";
import { tokenOf } from "../maa-fixture.ts";
import { cocoReportOf } from "./coco-form.ts";

/** The head of a quote is what detection goes by; what follows is the parser's. */
const quote = Uint8Array.from(
  { length: 600 },
  (_, index) => [3, 0, 2, 0, 0, 0, 0, 0][index] ?? index % 251,
);
const report = partOf("evidence");
const table = certificateTable({ vcek: pki.vcek, ask: pki.ask });
const chip = { vcek: toBase64Url(pki.vcek), ask: toBase64Url(pki.ask) };

const wireOf = (content: string | Uint8Array) =>
  detectEvidence(typeof content === "string" ? utf8(content) : content).wire;
const json = (value: unknown): string => JSON.stringify(value);
const refused = (content: string | Uint8Array, message: RegExp): void =>
  assert.throws(() => wireOf(content), { code: "attest.unsupported", message });

describe("Evidence is found", () => {
  test("in hex, base64, JSON's texts, lists of bytes, and members of the usual names", () => {
    const [hex, base64] = [toHex(quote), toBase64(quote)];
    for (const text of [
      `0X${hex.toUpperCase()}\n`,
      json(hex),
      json(base64),
      json([...quote]),
      json(Buffer.from(quote)),
      json({ quote: [...quote] }),
      json({ quote: Buffer.from(quote) }),
      ...["rawQuote", "isvQuote", "td_quote", "tdx_quote", "intel_quote"].map((name) =>
        json({ [name]: base64 }),
      ),
      json({ quote: base64, report: hex }),
    ]) {
      const { type, evidence } = wireOf(text);
      assert.equal(type, "sgx", text.slice(0, 40));
      assert.equal(evidence, toBase64Url(quote), text.slice(0, 40));
    }
  });

  test("in the firmware's answer with a report, with zeros behind it or none", () => {
    const header = new Uint8Array(32);
    new DataView(header.buffer).setUint32(4, report.byteLength, true);
    const answer = concatBytes(header, report);
    for (const behind of [0, 1, 4000 - answer.byteLength]) {
      const given = concatBytes(answer, new Uint8Array(behind));
      assert.deepEqual(wireOf(given), wireOf(report));
      assert.deepEqual(wireOf(toHex(given)), wireOf(report));
    }
    // A status that is none of success, another size, more than zeros: whatever it is taken for, no report.
    const evidenceOf = (bytes: Uint8Array): string | null => {
      try {
        return wireOf(bytes).evidence;
      } catch (error) {
        assert.ok(isPpmlError(error, "attest.unsupported"), String(error));
        return null;
      }
    };
    for (const at of [0, 4, 31, answer.byteLength]) {
      const changed = concatBytes(answer, new Uint8Array(8)).with(at, 1);
      assert.notEqual(evidenceOf(changed), wireOf(report).evidence, String(at));
    }
    assert.notEqual(evidenceOf(answer.subarray(0, -1)), wireOf(report).evidence);
  });

  test("once: two that differ in one JSON are refused", () => {
    const other = quote.with(500, 7);
    refused(json({ quote: toHex(quote), report: toHex(other) }), /more than one quote or report/);
  });

  test("in a token, also inside of JSON, as what the token is", () => {
    for (const [type, text] of [
      ["maa", tokenOf()],
      ["ear", earTokenOf()],
    ] as const)
      for (const form of [text, json(text), json({ token: text })]) {
        const { type: found, evidence } = wireOf(form);
        assert.deepEqual([found, evidence], [type, toBase64Url(utf8(text))]);
      }
  });

  test("in an SNP report with the host's certificates behind it", () => {
    const expected = { type: "snp", evidence: toBase64Url(report), collateral: chip };
    assert.deepEqual(wireOf(concatBytes(report, table)), expected);
    assert.deepEqual(wireOf(toHex(concatBytes(report, table))), expected);
    // A host that has none gives a table without entries.
    for (const length of [24, 2816, 0x4000])
      assert.deepEqual(wireOf(concatBytes(report, new Uint8Array(length))), {
        ...expected,
        collateral: {},
      });
    const noise = new Uint8Array(2816).with(2000, 1);
    for (const tail of [Uint8Array.of(0), noise, utf8("\n"), table.subarray(0, 80)])
      refused(concatBytes(report, tail), /first bytes/);
  });

  test("of a version that is not known, which its parser then names", () => {
    for (const version of [0, 1, 6, 255]) {
      const wire = wireOf(report.with(0, version));
      assert.equal(wire.type, "snp");
      assert.throws(() => parseSnpReport(fromBase64Url(wire.evidence)), {
        code: "attest.unsupported",
        message: new RegExp(`of version 2, 3, 4, 5, got ${version}$`),
      });
    }
  });

  test("in the JSON of configfs-tsm, with its certificates", () => {
    const [outblob, auxblob] = [toBase64(report), toBase64(table)];
    for (const provider of ["sev_guest", "sev_guest\n"]) {
      const expected = { type: "snp", evidence: toBase64Url(report), collateral: chip };
      assert.deepEqual(wireOf(json({ provider, outblob, auxblob })), expected);
    }
    const bare = wireOf(json({ provider: "sev_guest", outblob: toBase64Url(report) }));
    assert.deepEqual(bare.collateral, {});
    const td = wireOf(json({ provider: "tdx_guest", outblob, auxblob: "" }));
    assert.deepEqual([td.type, td.evidence], ["tdx", toBase64Url(report)]);
    for (const provider of ["tdx_guest", "sev_guest"])
      assert.throws(() => wireOf(json({ provider, outblob: "" })), {
        code: "attest.invalid",
        message: /the outblob is empty/,
      });
    refused(json({ provider: "arm_cca_guest", outblob }), /by "arm_cca_guest"/);
    assert.throws(() => wireOf(json({ provider: "sev_guest", outblob: "?" })), {
      code: "attest.invalid",
    });
  });

  test("in what a CoCo guest on SEV-SNP sends", () => {
    const attestation_report = cocoReportOf(report);
    const cert_chain = [{ cert_type: "VCEK", data: [...pki.vcek] }];
    assert.deepEqual(wireOf(json({ attestation_report, cert_chain })), {
      type: "snp",
      evidence: toBase64Url(report),
      collateral: { vcek: chip.vcek },
    });
  });
});

test("what is no Evidence says so: nothing, other JSON, lists that are no bytes", () => {
  refused("", /it is empty/);
  for (const text of ["[]", '""', "[1,2]", "[300]", '[{"quote":1}]', "{}", '{"quote":[]}', '"x"'])
    refused(text, /this is no Evidence that ppml knows/);
  refused(json(Array.from({ length: 1000 }, () => ({}))), /none of the forms/);
});

test("a quote of another attestation key is a quote, for its parser to refuse", () => {
  assert.equal(wireOf(quote.with(2, 3)).type, "sgx");
});

test("a vTPM's Evidence that is damaged is not taken for another kind, and says what is wrong", () => {
  const damaged = { version: 3, hcl_report: "", tpm_quote: {}, td_quote: toHex(quote) };
  assert.throws(() => wireOf(json(damaged)), {
    code: "attest.invalid",
    message: /JSON of an Azure vTPM's Evidence.*version 1 or 2/,
  });
});
