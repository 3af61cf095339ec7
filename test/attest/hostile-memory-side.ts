/**
 * Run alone, with --expose-gc and a young generation that is never collected in between: prints for each
 * hostile input its length, and how many bytes were allocated until it was refused or read.
 */
import { isPpmlError, utf8 } from "../../src/base/index.ts";
import { decodeCbor } from "../../src/attest/cbor/decode.ts";
import { parseQeIdentity } from "../../src/attest/collateral/qe-identity.ts";
import { parseTcbInfo } from "../../src/attest/collateral/tcb-info.ts";
import { parseAzureVtpmJson } from "../../src/attest/evidence/azure-vtpm-json.ts";
import { parseDcapQuote } from "../../src/attest/evidence/dcap-quote.ts";
import { detectEvidence } from "../../src/attest/evidence/detect.ts";
import { parseHclReport } from "../../src/attest/evidence/hcl-report.ts";
import { readRaTlsCertificate } from "../../src/attest/evidence/ra-tls.ts";
import { parseSnpReport } from "../../src/attest/evidence/snp-report.ts";
import { parseTpmQuoteFile } from "../../src/attest/evidence/tpm-quote-form.ts";
import { parseCompactJws } from "../../src/attest/token/compact-jws.ts";
import { parseCertificate } from "../../src/attest/x509/certificate.ts";
import { parseCrl } from "../../src/attest/x509/crl.ts";
import { parsePemChain } from "../../src/attest/x509/pem.ts";

type Parser = (input: Uint8Array) => unknown;

const PARSERS: Readonly<Record<string, Parser>> = {
  quote: parseDcapQuote,
  "snp report": parseSnpReport,
  "hcl report": parseHclReport,
  "vtpm json": parseAzureVtpmJson,
  "tpm quote": parseTpmQuoteFile,
  certificate: parseCertificate,
  crl: parseCrl,
  "pem chain": parsePemChain,
  "tcb info": parseTcbInfo,
  "qe identity": parseQeIdentity,
  cbor: decodeCbor,
  "ra-tls certificate": (input) => readRaTlsCertificate(input, { nowMs: 0 }),
  token: (input) => parseCompactJws(Buffer.from(input).toString("latin1"), "the token"),
  "any evidence": detectEvidence,
};

const LENGTHS = [0, 64, 5000, 130_000, 2_000_000];

/** Bytes that claim to be long, deep or many, each of exactly `length`. */
function hostile(length: number): Readonly<Record<string, Uint8Array>> {
  const filled = (pattern: Uint8Array): Uint8Array => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += pattern.byteLength)
      bytes.set(pattern.subarray(0, length - at), at);
    return bytes;
  };
  const headed = (head: readonly number[], rest: number): Uint8Array => {
    const bytes = new Uint8Array(length).fill(rest);
    bytes.set(head.slice(0, length));
    return bytes;
  };
  const pem = utf8("-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n");
  return {
    "all ones": headed([], 0xff),
    "a quote whose lengths are 4 GiB": headed([3, 0, 2, 0], 0xff),
    "DER that nests": filled(Uint8Array.of(0x30, 0x80)),
    "DER of empty values": headed([0x30, 0x83, 0xff, 0xff, 0xff], 0x30),
    "DER whose length is 16 MiB": headed([0x30, 0x83, 0xff, 0xff, 0xff, 0x30, 0x83], 0xff),
    "CBOR list of 2^32": headed([0x9a, 0xff, 0xff, 0xff, 0xff], 0x00),
    "CBOR that nests": headed([], 0x81),
    "CBOR text of 2^63": headed([0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 0x20),
    "JSON that nests": headed([], 0x5b),
    "JSON of empty members": filled(utf8('{"a":{},')),
    "JSON list of numbers": headed([0x5b, 0x30], 0x20),
    "PEM of many": filled(pem),
    "HCL report": headed([0x48, 0x43, 0x4c, 0x41, 2, 0, 0, 0], 0xff),
    "token of many parts": filled(utf8("YQ.")),
  };
}

const gc: unknown = Reflect.get(globalThis, "gc");
if (typeof gc !== "function") throw new TypeError("run with --expose-gc");
// Of the young generation alone: a whole collection before each of a thousand measurements takes most of the time.
const collect = (): void => (gc as (options: { type: "minor" }) => void)({ type: "minor" });

function measure(parse: Parser, input: Uint8Array): { allocated: number; outcome: string } {
  collect();
  const before = process.memoryUsage();
  let outcome = "read";
  try {
    parse(input);
  } catch (error) {
    outcome = isPpmlError(error) ? error.code : `crashed: ${String(error)}`;
  }
  const after = process.memoryUsage();
  const allocated = after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers;
  return { allocated, outcome };
}

for (const length of LENGTHS)
  for (const [what, input] of Object.entries(hostile(length)))
    for (const [parser, parse] of Object.entries(PARSERS)) {
      let seen = measure(parse, input);
      // What the engine allocates beside, in its own threads, is not always there: the least counts.
      for (let again = 0; again < 2 && seen.allocated > 16 * length + 65_536; again += 1) {
        const next = measure(parse, input);
        if (next.allocated < seen.allocated) seen = next;
      }
      process.stdout.write(`${JSON.stringify({ what, parser, length, ...seen })}\n`);
    }
