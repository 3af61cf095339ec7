import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { fromBase64Url, isPpmlError, toBase64Url } from "../../../src/base/index.ts";
import { bareRsaSsa, pcrsInOrder } from "../../../src/attest/evidence/tpm-quote-form.ts";
import { verifyTpmQuote } from "../../../src/attest/verify/tpm-quote.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import { milan } from "../snp-forms.ts";
import {
  attestationKey,
  pcrs,
  qualifyingData,
  quote,
  snpHclReport,
  snpVtpmWire,
  verifyVtpm,
} from "../vtpm-forms.ts";

const isRefusal = (error: unknown): boolean =>
  isPpmlError(error, "attest.invalid") ||
  isPpmlError(error, "attest.not_verified") ||
  isPpmlError(error, "attest.unsupported");

function acceptedFlips(bytes: Uint8Array, run: (changed: Uint8Array) => unknown): number[] {
  const accepted: number[] = [];
  for (let offset = 0; offset < bytes.byteLength; offset += 1) {
    const flipped = Uint8Array.from(bytes);
    flipped[offset] = (flipped[offset] ?? 0) ^ (1 << (offset % 8));
    try {
      run(flipped);
      accepted.push(offset);
    } catch (error) {
      assert.ok(isRefusal(error), `offset ${offset}: ${String(error)}`);
    }
  }
  return accepted;
}

const publicKey = createPublicKey(attestationKey);

function verifyParts(
  changes: Partial<{ message: Uint8Array; signature: Uint8Array; bank: Uint8Array }>,
) {
  const {
    message = quote.message,
    signature = quote.signature,
    bank = Buffer.concat(pcrs),
  } = changes;
  const values = pcrs.map((_value, index) =>
    Uint8Array.from(bank.subarray(32 * index, 32 * index + 32)),
  );
  return verifyTpmQuote({
    message,
    signature: bareRsaSsa(signature),
    publicKey,
    qualifyingData,
    pcrs: { hash: "sha256", values: pcrsInOrder(values) },
  });
}

function verifyHcl(hclReport: Uint8Array): void {
  verifyVtpm(snpVtpmWire({ hclReport }));
}

describe("every flipped byte is refused (no offset is without meaning)", () => {
  test("in the HCL report: headers, hardware report, runtime data and the zeros after them", () => {
    assert.deepEqual(acceptedFlips(snpHclReport(milan), verifyHcl), []);
  });
  test("in the quote's message", () => {
    assert.deepEqual(
      acceptedFlips(quote.message, (message) => verifyParts({ message })),
      [],
    );
  });
  test("in the quote's signature", () => {
    assert.deepEqual(
      acceptedFlips(quote.signature, (signature) => verifyParts({ signature })),
      [],
    );
  });
  test("in the PCR values", () => {
    assert.deepEqual(
      acceptedFlips(Buffer.concat(pcrs), (bank) => verifyParts({ bank })),
      [],
    );
  });
});

test("every truncation of the HCL report, the message and the signature is refused", () => {
  const hcl = snpHclReport(milan);
  // A cut within the zeros after the runtime data changes nothing that means anything.
  const end = hcl.findLastIndex((byte) => byte !== 0) + 1;
  for (let length = 0; length < end; length += 1)
    assert.throws(() => verifyVtpm(snpVtpmWire({ hclReport: hcl.subarray(0, length) })), isRefusal);
  for (let length = end; length <= hcl.byteLength; length += 100)
    verifyVtpm(snpVtpmWire({ hclReport: hcl.subarray(0, length) }));
  for (let length = 0; length < quote.message.byteLength; length += 1)
    assert.throws(() => verifyParts({ message: quote.message.subarray(0, length) }), isRefusal);
  for (let length = 0; length < quote.signature.byteLength; length += 1)
    assert.throws(() => verifyParts({ signature: quote.signature.subarray(0, length) }), isRefusal);
});

test("in the JSON only the case of hex digits is without meaning", () => {
  const wire = snpVtpmWire();
  const json = fromBase64Url(wire.evidence);
  const text = Buffer.from(json).toString("latin1");
  const of = (bytes: Uint8Array): WireEvidence => ({ ...wire, evidence: toBase64Url(bytes) });
  const hex = new Set(
    [...text.matchAll(/"([0-9a-f]{64,})"/g)].flatMap(({ index, 1: digits = "" }) =>
      Array.from(digits, (_digit, at) => index + 1 + at),
    ),
  );
  fc.assert(
    fc.property(fc.nat(json.byteLength - 1), fc.nat(7), (offset, bit) => {
      const changed = Uint8Array.from(json);
      changed[offset] = (changed[offset] ?? 0) ^ (1 << bit);
      const before = text.charAt(offset);
      const after = String.fromCharCode(changed[offset] ?? 0);
      const sameDigit = before.toUpperCase() === after && /[A-F]/.test(after);
      if (hex.has(offset) && sameDigit) verifyVtpm(of(changed));
      else assert.throws(() => verifyVtpm(of(changed)), isRefusal, `offset ${offset}, bit ${bit}`);
    }),
    { numRuns: 500 },
  );
});

test("any bytes as Evidence are refused without a crash", () => {
  const wire = snpVtpmWire();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => {
      assert.throws(() => verifyVtpm({ ...wire, evidence: toBase64Url(bytes) }), isRefusal);
      assert.throws(() => verifyVtpm(snpVtpmWire({ hclReport: bytes })), isRefusal);
      assert.throws(
        () => verifyVtpm(snpVtpmWire({ quote: { ...quote, message: bytes.subarray(0, 1000) } })),
        isRefusal,
      );
    }),
    { numRuns: 150 },
  );
});
