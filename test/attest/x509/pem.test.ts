import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isPpmlError, toBase64 } from "../../../src/base/index.ts";
import { decodePemBody, parsePemCertificates } from "../../../src/attest/x509/pem.ts";

function pemOf(bytes: Uint8Array, lineEnd = "\n"): string {
  const lines = toBase64(bytes).match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join(lineEnd);
}

const body = fc.uint8Array({ minLength: 1, maxLength: 300 });

test("certificates come out as they went in, in their order", () => {
  fc.assert(
    fc.property(
      fc.array(body, { minLength: 1, maxLength: 10 }),
      fc.constantFrom("\n", "\r\n"),
      (all, lineEnd) => {
        const text = all.map((bytes) => pemOf(bytes, lineEnd)).join(lineEnd);
        assert.deepEqual(parsePemCertificates(text), all);
        assert.deepEqual(parsePemCertificates(text.trimEnd()), all);
      },
    ),
    { numRuns: 100 },
  );
});

test("other text, none, too many and too long ones are refused", () => {
  const good = pemOf(new Uint8Array(100).fill(7));
  for (const text of [
    "",
    "\n",
    "certificate",
    `subject=CN\n${good}`,
    `${good}trailing`,
    good.replace("END", "END X"),
    good.replaceAll("CERTIFICATE", "PUBLIC KEY"),
    good.replace("Bw", "*w"),
    good.slice(0, -30),
    good.replace("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n\n"),
    good.repeat(11),
    " ".repeat(256 * 1024 + 1),
  ])
    assert.throws(() => parsePemCertificates(text), { code: "attest.invalid" });
});

test("any text is refused or read, without a crash", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 400 }), (text) => {
      for (const given of [
        text,
        `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`,
      ])
        try {
          parsePemCertificates(given);
        } catch (error) {
          assert.ok(isPpmlError(error, "attest.invalid"), String(error));
        }
    }),
    { numRuns: 300 },
  );
});

test("a body is base64 where encoding what Node reads of it gives the same text", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 12 });
  const mutation = fc.record({
    at: fc.nat(20),
    by: fc.constantFrom("=", "-", "_", "A", "/", "+", " ", "\t", "ÿ", "==", ""),
    cut: fc.nat(2),
  });
  let good = 0;
  fc.assert(
    fc.property(
      bytes,
      fc.array(mutation, { maxLength: 2 }),
      fc.integer({ min: 1, max: 20 }),
      (...given) => {
        const [plain, mutations, width] = given;
        let base64 = toBase64(plain);
        for (const { at, by, cut } of mutations)
          base64 = base64.slice(0, at) + by + base64.slice(at + cut);
        if (base64 === "") return;
        const lines = `${(base64.match(new RegExp(`.{1,${width}}`, "g")) ?? []).join("\n")}\n`;
        const read = Buffer.from(base64, "base64");
        if (read.toString("base64") === base64) {
          assert.deepEqual(decodePemBody(lines), new Uint8Array(read));
          good += 1;
        } else assert.throws(() => decodePemBody(lines), { code: "attest.invalid" }, lines);
      },
    ),
    { numRuns: 5000 },
  );
  assert.ok(good > 1000, `${good} of them were base64`);
});
