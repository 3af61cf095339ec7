import assert from "node:assert/strict";
import { test } from "node:test";
import type { Attester } from "../../../src/attest/collect/attester.ts";
import type { DeviceLimits } from "../../../src/attest/collect/device-io.ts";
import { fromBase64Url, isPpmlError } from "../../../src/base/index.ts";
import { wireEvidenceSchema } from "../../../src/format/protocol.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";

/** Short waits, so that a test of a slow device is not slow. */
export const QUICK: DeviceLimits = { timeoutMs: 300, attempts: 3, pauseMs: 1 };

/** Report data that ends in zeros, as a SHA-384 that fills 64 bytes does. */
export const REPORT_DATA = Uint8Array.from({ length: 64 }, (_, i) => (i < 48 ? i + 1 : 0));
export const OTHER_DATA = Uint8Array.from({ length: 64 }, (_, i) => (i < 48 ? 99 : 0));

/** Asserts that Evidence cannot be had, for a reason that the message gives. */
export async function unavailable(work: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(isPpmlError(error, "attest.unavailable"), String(error));
    assert.match(error.message, message);
    return true;
  });
}

/** What every Attester does, whatever its TEE: the shared suite of the port. */
export function attesterSuite(
  name: string,
  options: {
    readonly open: () => Attester;
    readonly type: string;
    /** The report data that Evidence binds. */
    readonly boundBy: (wire: WireEvidence) => Uint8Array;
    readonly skip?: string | false;
  },
): void {
  const { open, type, boundBy, skip = false } = options;
  test(`${name}: Evidence has its wire type and binds the report data`, { skip }, async () => {
    const attester = open();
    assert.equal(attester.evidenceType, type);
    for (const data of [REPORT_DATA, OTHER_DATA]) {
      const wire = wireEvidenceSchema.parse(await attester.attest(data));
      assert.equal(wire.type, type);
      assert.deepEqual(boundBy(wire), data);
    }
  });
  test(`${name}: Evidence asked for at once binds each its own report data`, { skip }, async () => {
    const attester = open();
    const wanted = [REPORT_DATA, OTHER_DATA, REPORT_DATA, OTHER_DATA];
    const wires = await Promise.all(wanted.map((data) => attester.attest(data)));
    assert.deepEqual(wires.map(boundBy), wanted);
  });
  test(`${name}: report data of another length is refused`, { skip }, async () => {
    for (const length of [0, 63, 65])
      await assert.rejects(open().attest(new Uint8Array(length)), (error: unknown) =>
        isPpmlError(error, "attest.invalid"),
      );
  });
}

/** A range of the Evidence's bytes. */
export function evidenceRange(wire: WireEvidence, offset: number, length: number): Uint8Array {
  return fromBase64Url(wire.evidence).slice(offset, offset + length);
}
