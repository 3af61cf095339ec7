import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError } from "../../../src/base/index.ts";
import { formOf, milan, partOf, verifyForm, wireOf, withPart } from "../snp-forms.ts";

const wire = wireOf(milan);
const PARTS = ["evidence", "ark", "ask", "vcek"] as const;

const isRefusal = (error: unknown): boolean =>
  isPpmlError(error, "attest.invalid") ||
  isPpmlError(error, "attest.not_verified") ||
  isPpmlError(error, "attest.unsupported");

describe("every flipped byte is refused", () => {
  for (const part of PARTS)
    test(`in the ${part}, at every offset (no offset is without meaning)`, () => {
      const bytes = partOf(wire, part);
      const accepted: number[] = [];
      for (let offset = 0; offset < bytes.byteLength; offset += 1) {
        const flipped = Uint8Array.from(bytes);
        // The bit differs from offset to offset, so that all eight are tried.
        flipped[offset] = (flipped[offset] ?? 0) ^ (1 << (offset % 8));
        try {
          verifyForm(milan, withPart(wire, part, flipped));
          accepted.push(offset);
        } catch (error) {
          assert.ok(isRefusal(error), `offset ${offset}: ${String(error)}`);
        }
      }
      assert.deepEqual(accepted, []);
    });
});

describe("every truncation and every longer form is refused", () => {
  for (const part of PARTS)
    test(`of the ${part}`, () => {
      const bytes = partOf(wire, part);
      for (let length = 0; length < bytes.byteLength; length += 1)
        assert.throws(
          () => verifyForm(milan, withPart(wire, part, bytes.subarray(0, length))),
          isRefusal,
        );
      assert.throws(
        () => verifyForm(milan, withPart(wire, part, new Uint8Array([...bytes, 0]))),
        isRefusal,
      );
    });
});

test("any bytes in any part, and noise in good ones, are refused without a crash", () => {
  const forms = [milan, formOf("Genoa"), formOf("Turin")].map((form) => ({
    form,
    good: wireOf(form),
  }));
  const part = fc.constantFrom(...PARTS);
  fc.assert(
    fc.property(part, fc.uint8Array({ maxLength: 2000 }), (where, bytes) => {
      assert.throws(() => verifyForm(milan, withPart(wire, where, bytes)), isRefusal);
    }),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(
      fc.tuple(fc.constantFrom(...forms), part),
      fc.nat(),
      fc.uint8Array({ minLength: 1, maxLength: 6 }),
      ([{ form, good }, where], at, noise) => {
        const bytes = Uint8Array.from(partOf(good, where));
        const original = Uint8Array.from(bytes);
        const start = at % bytes.byteLength;
        bytes.set(noise.subarray(0, bytes.byteLength - start), start);
        if (Buffer.from(bytes).equals(original)) return;
        assert.throws(() => verifyForm(form, withPart(good, where, bytes)), isRefusal);
      },
    ),
    { numRuns: 300 },
  );
});
