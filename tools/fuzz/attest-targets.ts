import { concatBytes, equalBytes, PpmlError, toBase64Url } from "../../src/base/index.ts";
import { decodeCbor } from "../../src/attest/cbor/decode.ts";
import { readDer, readDerSequence } from "../../src/attest/der/read.ts";
import { parseVcekExtensions } from "../../src/attest/evidence/vcek-extensions.ts";
import { encodeSnpReport, parseSnpReport } from "../../src/attest/evidence/snp-report.ts";
import { verifySimulatedEvidence } from "../../src/attest/sim/verify-sim.ts";
import { parseCertificate } from "../../src/attest/x509/certificate.ts";
import { NOW_MS, partOf, pki, wire } from "../../test/attest/fixture.ts";
import { type FuzzTarget, parses } from "./target.ts";

const SEQUENCE = 0x30;
const certificates = (): readonly Uint8Array[] => [pki.ark, pki.ask, pki.vcek];

/** Evidence: DER, X.509, CBOR, SNP reports, and the simulated platform's whole chain. */
export const ATTEST_TARGETS: readonly FuzzTarget[] = [
  parses("der", certificates, (input) => readDerSequence(readDer(input, SEQUENCE)).length),
  parses("x509", certificates, (input) => parseCertificate(input).commonName),
  parses(
    "vcek-extensions",
    () => [pki.vcek],
    (input) => parseVcekExtensions(parseCertificate(input)),
  ),
  parses(
    "cbor",
    () => [
      Uint8Array.of(0xa2, 0x61, 0x61, 0x82, 1, 0x20, 0x02, 0x44, 1, 2, 3, 4),
      Uint8Array.of(0xd2, 0x84, 0x43, 0xa1, 0x01, 0x26, 0xa0, 0x40, 0x41, 9),
    ],
    (input) => decodeCbor(input).kind,
  ),
  parses(
    "snp-report",
    () => [partOf("evidence")],
    (input) => {
      const report = parseSnpReport(input);
      if (!equalBytes(encodeSnpReport(report), input)) throw new Error("encodes to other bytes");
      return report.version;
    },
  ),
  {
    name: "sim-evidence",
    // u32be length of the report, then of the ASK; the rest is the VCEK.
    prepare: () =>
      Promise.resolve({
        seeds: [framed(partOf("evidence"), partOf("ask"), partOf("vcek"))],
        promise: "authentic",
        run: (input) => {
          const [evidence, ask, vcek] = unframed(input).map((part) => toBase64Url(part));
          if (evidence === undefined || ask === undefined || vcek === undefined)
            throw new PpmlError("attest.invalid", "not three parts");
          const collateral = { ask, vcek };
          const roots = { simulationRoot: pki.ark, nowMs: NOW_MS };
          verifySimulatedEvidence({ ...wire, evidence, collateral }, roots);
          return [evidence, ask, vcek];
        },
      }),
  },
];

function framed(...parts: readonly Uint8Array[]): Uint8Array {
  const lengths = new Uint8Array(8);
  for (const [index, part] of parts.slice(0, 2).entries())
    new DataView(lengths.buffer).setUint32(4 * index, part.byteLength);
  return concatBytes(lengths, ...parts);
}

function unframed(input: Uint8Array): readonly Uint8Array[] {
  if (input.byteLength < 8) return [];
  const view = new DataView(input.buffer, input.byteOffset);
  const first = 8 + view.getUint32(0);
  const second = first + view.getUint32(4);
  return [input.subarray(8, first), input.subarray(first, second), input.subarray(second)];
}
