import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError } from "../../../src/base/index.ts";
import { verifySimulatedEvidence } from "../../../src/attest/sim/verify-sim.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import { NOW_MS, partOf, pki, withPart } from "../fixture.ts";

const verify = (evidence: WireEvidence) =>
  verifySimulatedEvidence(evidence, { simulationRoot: pki.ark, nowMs: NOW_MS });

const isRefusal = (error: unknown): boolean =>
  isPpmlError(error, "attest.invalid") ||
  isPpmlError(error, "attest.not_verified") ||
  isPpmlError(error, "attest.unsupported");

describe("every flipped byte is refused", () => {
  for (const part of ["evidence", "ask", "vcek"] as const)
    test(`in the ${part}, at every offset (no offset is without meaning)`, () => {
      const bytes = partOf(part);
      const accepted: number[] = [];
      for (let offset = 0; offset < bytes.byteLength; offset += 1) {
        const flipped = Uint8Array.from(bytes);
        // The bit differs from offset to offset, so that all eight are tried.
        flipped[offset] = (flipped[offset] ?? 0) ^ (1 << (offset % 8));
        try {
          verify(withPart(part, flipped));
          accepted.push(offset);
        } catch (error) {
          assert.ok(isRefusal(error), `offset ${offset}: ${String(error)}`);
        }
      }
      assert.deepEqual(accepted, []);
    });
});

describe("every truncation and every longer form is refused", () => {
  for (const part of ["evidence", "ask", "vcek"] as const)
    test(`of the ${part}`, () => {
      const bytes = partOf(part);
      for (let length = 0; length < bytes.byteLength; length += 1)
        assert.throws(() => verify(withPart(part, bytes.subarray(0, length))), isRefusal);
      assert.throws(() => verify(withPart(part, new Uint8Array([...bytes, 0]))), isRefusal);
    });
});

test("any bytes in any part, and hostile DER lengths, are refused without a crash", () => {
  const part = fc.constantFrom("evidence" as const, "ask" as const, "vcek" as const);
  fc.assert(
    fc.property(part, fc.uint8Array({ maxLength: 2000 }), (where, bytes) => {
      assert.throws(() => verify(withPart(where, bytes)), isRefusal);
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(
      part,
      fc.nat(10_000),
      fc.uint8Array({ minLength: 1, maxLength: 6 }),
      (where, at, noise) => {
        const bytes = Uint8Array.from(partOf(where));
        const original = Uint8Array.from(bytes);
        bytes.set(
          noise.subarray(0, bytes.byteLength - (at % bytes.byteLength)),
          at % bytes.byteLength,
        );
        if (Buffer.from(bytes).equals(original)) return;
        assert.throws(() => verify(withPart(where, bytes)), isRefusal);
      },
    ),
    { numRuns: 300 },
  );
});
