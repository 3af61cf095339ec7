import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { concatBytes, fromHex, isPpmlError, toHex } from "../../../src/base/index.ts";
import {
  algorithmOf,
  encodeName,
  extension,
  signed,
} from "../../../src/attest/x509/issue-certificate.ts";
import { issueCrl } from "../../../src/attest/sim/crl.ts";
import { der, derInteger, derSequence, derTime } from "../../../src/attest/der/write.ts";
import { isRevoked, parseCrl } from "../../../src/attest/x509/crl.ts";
import { DAY_MS, NOW_MS, pki } from "../dcap-fixture.ts";

const issuerKey = pki.keys.root;
const algorithm = algorithmOf(issuerKey);
const good = {
  issuer: pki.names.root,
  issuerKey,
  thisUpdateMs: NOW_MS,
  nextUpdateMs: NOW_MS + DAY_MS,
};
const serials = [Uint8Array.of(1), Uint8Array.of(0x80, 2), new Uint8Array(20).fill(0x7f)];
const number = extension("2.5.29.20", { critical: false, value: derInteger(Uint8Array.of(1)) });
const keyId = extension("2.5.29.35", { critical: false, value: derSequence() });

/** A CRL with any parts of tbsCertList. */
function crlOf(
  parts: Partial<Record<"version" | "algorithm" | "next" | "list" | "tail", Uint8Array>>,
) {
  const tbs = derSequence(
    parts.version ?? derInteger(Uint8Array.of(1)),
    parts.algorithm ?? algorithm,
    encodeName("issuer"),
    derTime(NOW_MS),
    parts.next ?? derTime(NOW_MS + DAY_MS),
    parts.list ?? new Uint8Array(),
    parts.tail ?? der(0xa0, derSequence(number, keyId)),
  );
  return signed(tbs, issuerKey);
}
const extensions = (...list: readonly Uint8Array[]) => ({ tail: der(0xa0, derSequence(...list)) });
const refuses = (bytes: Uint8Array, message: RegExp): void => {
  assert.throws(() => parseCrl(bytes), { code: "attest.invalid", message });
};

const entry = (...more: readonly Uint8Array[]) => ({
  list: derSequence(derSequence(derInteger(Uint8Array.of(5)), derTime(NOW_MS), ...more)),
});

const check = (input: Uint8Array): void => {
  try {
    parseCrl(input);
  } catch (error) {
    assert.ok(isPpmlError(error, "attest.invalid"), String(error));
  }
};

describe("a CRL", () => {
  test("gives its times and the serial numbers of what it revokes", () => {
    const crl = parseCrl(issueCrl({ ...good, serials }));
    assert.deepEqual([crl.thisUpdateMs, crl.nextUpdateMs], [NOW_MS, NOW_MS + DAY_MS]);
    for (const serial of ["01", "008002", "7f".repeat(20)])
      assert.ok(isRevoked(crl, fromHex(serial)), serial);
    for (const serial of ["", "02", "0001", "8002", "7f".repeat(19), "7f".repeat(21)])
      assert.ok(!isRevoked(crl, fromHex(serial)), serial);
    const none = parseCrl(issueCrl({ ...good, serials: [] }));
    assert.ok(!isRevoked(none, Uint8Array.of(1)));
  });

  test("does not change with the bytes that it was parsed from", () => {
    const lent = issueCrl({ ...good, serials: [] });
    const crl = parseCrl(lent);
    const issuer = toHex(crl.issuer);
    lent.fill(0);
    assert.equal(toHex(crl.issuer), issuer);
  });

  test("may list many certificates", () => {
    const many = Array.from({ length: 5000 }, (_, index) => Uint8Array.of(1, index >> 8, index));
    const crl = parseCrl(issueCrl({ ...good, serials: many }));
    for (const serial of many) assert.ok(isRevoked(crl, serial));
    assert.ok(!isRevoked(crl, Uint8Array.of(1, 5000 >> 8, 5000 & 0xff)));
  });

  test("of version 1, without nextUpdate or without its extensions is refused", () => {
    refuses(crlOf({ version: derInteger(Uint8Array.of(0)) }), /version 2/);
    refuses(crlOf({ next: new Uint8Array() }), /UTC time|tag/);
    refuses(crlOf({ tail: new Uint8Array() }), /tag 0xa0/);
    refuses(crlOf(extensions(number)), /lacks the extension 2\.5\.29\.35/);
    refuses(crlOf(extensions(keyId)), /lacks the extension 2\.5\.29\.20/);
    refuses(crlOf(extensions(number, keyId, number)), /there twice/);
  });

  test("that is not whole (delta, indirect, partitioned) is refused for its critical extension", () => {
    for (const oid of ["2.5.29.27", "2.5.29.28", "1.2.3.4"]) {
      const critical = extension(oid, { critical: true, value: derSequence() });
      refuses(crlOf(extensions(number, keyId, critical)), /critical extension/);
    }
  });

  test("with an entry that only some readers understand is refused", () => {
    assert.ok(isRevoked(parseCrl(crlOf(entry())), Uint8Array.of(5)));
    const issuer = extension("2.5.29.29", { critical: true, value: derSequence() });
    refuses(crlOf(entry(derSequence(issuer))), /critical extension 2\.5\.29\.29/);
    const reason = extension("2.5.29.21", { critical: false, value: der(0x0a, Uint8Array.of(1)) });
    assert.ok(isRevoked(parseCrl(crlOf(entry(derSequence(reason)))), Uint8Array.of(5)));
    refuses(crlOf(entry(derSequence(reason), derSequence())), /more than three parts/);
  });

  test("whose algorithms inside and outside differ is refused", () => {
    refuses(crlOf({ algorithm: derSequence() }), /algorithms inside and outside differ/);
  });

  test("with a serial number that has two forms is refused", () => {
    for (const padded of [[0, 5], [0xff, 0x85], []])
      refuses(
        crlOf({
          list: derSequence(derSequence(der(0x02, Uint8Array.from(padded)), derTime(NOW_MS))),
        }),
        /serial number/,
      );
  });

  test("cut, prolonged or over 4 MiB is refused", () => {
    const bytes = issueCrl({ ...good, serials });
    for (let length = 0; length < bytes.byteLength; length += 1)
      assert.throws(() => parseCrl(bytes.subarray(0, length)), { code: "attest.invalid" });
    refuses(concatBytes(bytes, Uint8Array.of(0)), /after the end/);
    refuses(new Uint8Array(4 * 1024 * 1024 + 1), /at most 4194304/);
  });

  test("of any bytes, or with noise in it, parses or is refused, and never crashes", () => {
    const bytes = issueCrl({ ...good, serials });
    fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), check), { numRuns: 300 });
    fc.assert(
      fc.property(fc.nat(10_000), fc.uint8Array({ minLength: 1, maxLength: 6 }), (at, noise) => {
        const input = Uint8Array.from(bytes);
        const offset = at % input.byteLength;
        input.set(noise.subarray(0, input.byteLength - offset), offset);
        check(input);
      }),
      { numRuns: 500 },
    );
  });
});
