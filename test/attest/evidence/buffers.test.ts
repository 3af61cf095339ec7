import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { parseDcapQuote } from "../../../src/attest/evidence/dcap-quote.ts";
import { parseHclReport } from "../../../src/attest/evidence/hcl-report.ts";
import { parseSnpReport } from "../../../src/attest/evidence/snp-report.ts";
import { parseTdReportStruct } from "../../../src/attest/evidence/td-report-struct.ts";
import { snpFormReport } from "../../../src/attest/sim/snp-form.ts";
import { issueCrl } from "../../../src/attest/sim/crl.ts";
import { parseCrl } from "../../../src/attest/x509/crl.ts";
import { KINDS, makeCase, NOW_MS, pki, verifyCase } from "../dcap-fixture.ts";
import { milan } from "../snp-forms.ts";
import { snpHclReport } from "../vtpm-forms.ts";
import { noiseQuote, QUOTE_KINDS } from "./quote-fixture.ts";

/** The bytes as a Buffer inside of memory that other things lie in, as Node's own pool has it. */
function pooled(bytes: Uint8Array): Buffer {
  const pool = Buffer.alloc(bytes.byteLength + 64, 0x30);
  pool.set(bytes, 17);
  return pool.subarray(17, 17 + bytes.byteLength);
}

/** Parses the same bytes as a Uint8Array and as a Buffer, which is then written over. */
function sameFromBuffer(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  const expected = parse(new Uint8Array(bytes));
  const buffer = pooled(bytes);
  const actual = parse(buffer);
  buffer.fill(0xff);
  assert.deepEqual(actual, expected);
}

describe("a Buffer, whose slice is a view, is read as its bytes are, and not kept", () => {
  for (const kind of QUOTE_KINDS)
    test(`a quote of version ${kind[0]} over a body of type ${kind[1]}`, () => {
      sameFromBuffer(parseDcapQuote, noiseQuote(kind).bytes);
    });

  test("an SNP report", () => {
    sameFromBuffer(parseSnpReport, snpFormReport(milan, 5));
  });

  test("an HCL report", () => {
    sameFromBuffer(parseHclReport, snpHclReport(milan));
  });

  test("a TDREPORT", () => {
    const bytes = Uint8Array.from({ length: 1024 }, (_none, index) => index & 0xff);
    bytes.set([0x81, 0]);
    sameFromBuffer(parseTdReportStruct, bytes);
  });

  test("a CRL", () => {
    const crl = issueCrl({
      issuer: pki.names.root,
      issuerKey: pki.keys.root,
      thisUpdateMs: NOW_MS,
      nextUpdateMs: NOW_MS + 1000,
      serials: [Uint8Array.of(7)],
    });
    sameFromBuffer(parseCrl, crl);
  });

  for (const kind of KINDS)
    test(`a quote and collateral that are verified: ${kind}`, () => {
      const { quote, collateral } = makeCase(kind);
      const buffers = {
        ...collateral,
        rootCaCrl: pooled(collateral.rootCaCrl),
        pckCrl: pooled(collateral.pckCrl),
        tcbInfo: pooled(collateral.tcbInfo),
        tcbInfoSignature: pooled(collateral.tcbInfoSignature),
        qeIdentity: pooled(collateral.qeIdentity),
        qeIdentitySignature: pooled(collateral.qeIdentitySignature),
      };
      sameFromBuffer((bytes) => verifyCase({ pki, quote: bytes, collateral: buffers }), quote);
    });
});
