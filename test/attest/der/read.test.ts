import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex, isPpmlError } from "../../../src/base/index.ts";
import {
  DER,
  derContent,
  readDer,
  readDerBitString,
  readDerBoolean,
  readDerOid,
  readDerSequence,
  readDerSmallInteger,
  readDerText,
  readDerTime,
} from "../../../src/attest/der/read.ts";
import {
  der,
  derInteger,
  derOid,
  derSequence,
  derText,
  derTime,
} from "../../../src/attest/der/write.ts";
import { parseCertificate } from "../../../src/attest/x509/certificate.ts";

const refused = { code: "attest.invalid" };
const hex = (text: string, tag: number) => readDer(fromHex(text.replaceAll(" ", "")), tag);

test("values survive writing and reading", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000 }), (content) => {
      assert.deepEqual(
        derContent(readDer(der(DER.octetString, content), DER.octetString)),
        content,
      );
    }),
    { numRuns: 30 },
  );
  for (const value of [0, 1, 127, 128, 255, 256, 65_535, 0x7fffffff]) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value);
    assert.equal(readDerSmallInteger(readDer(derInteger(bytes), DER.integer)), value);
  }
  for (const oid of [
    "1.3.6.1.4.1.3704.1.3.8",
    "2.5.29.15",
    "1.2.840.10045.4.3.3",
    "2.999.3",
    "0.0",
  ])
    assert.equal(readDerOid(readDer(derOid(oid), DER.oid)), oid);
  for (const time of [
    Date.UTC(1999, 11, 31, 23, 59, 59),
    Date.UTC(2049, 1, 28),
    Date.UTC(2051, 1, 28),
  ])
    assert.equal(
      readDerTime(readDerSequence(readDer(derSequence(derTime(time)), DER.sequence))[0]),
      time,
    );
  assert.equal(readDerText(readDer(derText(DER.ia5String, "Genoa-B1"), DER.ia5String)), "Genoa-B1");
});

test("forms that BER allows and DER does not are refused", () => {
  assert.throws(() => hex("04 80 00 00", DER.octetString), refused, "indefinite length");
  assert.throws(() => hex("04 81 01 00", DER.octetString), refused, "length in too many octets");
  assert.throws(
    () => hex("04 82 00 80" + "00".repeat(128), DER.octetString),
    refused,
    "padded length",
  );
  assert.throws(() => readDerSmallInteger(hex("02 02 00 01", DER.integer)), refused);
  assert.throws(() => readDerBoolean(hex("01 01 01", DER.boolean)), refused, "TRUE that is not FF");
  assert.throws(() => readDerOid(hex("06 03 2a 80 01", DER.oid)), refused, "padded arc");
  assert.throws(() => hex("1f 81 01 00", 0x1f), refused, "long tag");
});

test("hostile lengths and contents are refused", () => {
  for (const text of [
    "",
    "04",
    "04 05 00",
    "04 84 ff ff ff ff",
    "04 83 ff ff ff",
    "04 ff",
    "04 82 01",
  ])
    assert.throws(() => hex(text, DER.octetString), refused, text);
  assert.throws(() => hex("04 01 00 00", DER.octetString), refused, "bytes after the end");
  assert.throws(() => hex("05 00", DER.octetString), refused, "another tag");
  assert.throws(() => readDerSmallInteger(hex("02 01 ff", DER.integer)), refused, "negative");
  assert.throws(() => readDerSmallInteger(hex("02 00", DER.integer)), refused, "empty");
  assert.throws(() => readDerSmallInteger(hex("02 05 01 00 00 00 00", DER.integer)), refused);
  assert.throws(() => readDerOid(hex("06 00", DER.oid)), refused);
  assert.throws(() => readDerOid(hex("06 02 2a 86", DER.oid)), refused, "cut arc");
  assert.throws(
    () => readDerOid(hex("06 06 2a ff ff ff ff 7f", DER.oid)),
    refused,
    "arc over 32 bits",
  );
  assert.throws(() => readDerOid(readDer(der(DER.oid, new Uint8Array(33)), DER.oid)), refused);
  assert.throws(() => readDerBitString(hex("03 02 01 80", DER.bitString)), refused);
  assert.throws(() => readDerText(hex("0c 01 07", DER.utf8String)), refused, "control character");
  for (const time of ["260230000000Z", "2611241200Z", "261124120060Z", "26112412000+Z"])
    assert.throws(
      () => readDerTime(readDer(derText(DER.utcTime, time), DER.utcTime)),
      refused,
      time,
    );
  const many = readDer(
    derSequence(...Array.from({ length: 1001 }, () => derSequence())),
    DER.sequence,
  );
  assert.throws(() => readDerSequence(many), refused);
});

test("any bytes are parsed or refused as a certificate, never a crash", () => {
  const nested = fc.letrec<{ value: Uint8Array }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc
        .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 20 }))
        .map(([tag, content]) => der(tag, content)),
      fc.array(tie("value"), { maxLength: 9 }).map((values) => derSequence(...values)),
    ),
  })).value;
  fc.assert(
    fc.property(fc.oneof(nested, fc.uint8Array({ maxLength: 300 })), (bytes) => {
      assert.throws(
        () => parseCertificate(bytes),
        (error) => isPpmlError(error, "attest.invalid"),
      );
    }),
    { numRuns: 500 },
  );
  assert.throws(() => parseCertificate(new Uint8Array(64 * 1024 + 1)), refused);
});
