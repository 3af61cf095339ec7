import {
  concatBytes,
  fromBase64Url,
  fromHex,
  toBase64,
  toBase64Url,
  utf8,
} from "../../src/base/index.ts";
import { parseAmdHostCertificates } from "../../src/attest/evidence/amd-host-certificates.ts";
import { parseAzureVtpmJson } from "../../src/attest/evidence/azure-vtpm-json.ts";
import { parseHclReport } from "../../src/attest/evidence/hcl-report.ts";
import { parseTpmQuote } from "../../src/attest/evidence/tpm-attest.ts";
import { parseTpmPublic } from "../../src/attest/evidence/tpm-public.ts";
import { parseTpmQuoteFile } from "../../src/attest/evidence/tpm-quote-form.ts";
import { parseTpmSignature } from "../../src/attest/evidence/tpm-signature.ts";
import { encodeTpmSignature } from "../../src/attest/sim/tpm-write.ts";
import { verifyUvmEndorsement } from "../../src/attest/verify/uvm-endorsement.ts";
import { parsePemChain } from "../../src/attest/x509/pem.ts";
import {
  milan,
  NOW_MS,
  partOf,
  verifyForm,
  wireOf,
  withPart,
} from "../../test/attest/snp-forms.ts";
import { makeUvmEndorsement, uvmIssuer } from "../../test/attest/uvm-form.ts";
import {
  quote,
  snpHclReport,
  snpVtpmWire,
  tdxVtpmWire,
  verifyVtpm,
} from "../../test/attest/vtpm-forms.ts";
import { type FuzzTarget, parses } from "./target.ts";

const wire = wireOf(milan);
const vtpmWire = snpVtpmWire();
const rsaSignature = { scheme: "rsassa", hash: "sha256", signature: quote.signature } as const;
const ecdsaSignature = {
  scheme: "ecdsa",
  hash: "sha384",
  r: new Uint8Array(48).fill(1),
  s: new Uint8Array(48).fill(2),
} as const;

function pem(...certificates: readonly Uint8Array[]): string {
  return certificates
    .map(
      (der) =>
        `-----BEGIN CERTIFICATE-----\n${toBase64(der).replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`,
    )
    .join("");
}

/** TPM2B_PUBLIC of an RSA attestation key: type, name's hash, attributes, no policy, no symmetric algorithm, RSASSA. */
function tpmPublic(): Uint8Array {
  const fields = fromHex("01180001000b00050072000000100014000b0800000000000100");
  return concatBytes(fields, new Uint8Array(256).fill(0xc5));
}

const { ark, authority, key } = milan.certificates;

/** Evidence of hardware's form: SEV-SNP, Azure vTPMs, TPM structures, endorsements, certificates in PEM. */
export const HARDWARE_TARGETS: readonly FuzzTarget[] = [
  parses(
    "hcl-report",
    () => [
      snpHclReport(milan),
      parseAzureVtpmJson(fromBase64Url(tdxVtpmWire().evidence)).hclReport,
    ],
    (input) => parseHclReport(input).type,
  ),
  parses(
    "azure-vtpm-json",
    () => [fromBase64Url(vtpmWire.evidence), fromBase64Url(tdxVtpmWire().evidence)],
    (input) => parseAzureVtpmJson(input).pcrs.size,
  ),
  parses(
    "tpm-quote",
    () => [quote.message],
    (input) => parseTpmQuote(input).extraData,
  ),
  parses(
    "tpm-signature",
    () => [encodeTpmSignature(rsaSignature), encodeTpmSignature(ecdsaSignature)],
    (input) => parseTpmSignature(input).scheme,
  ),
  parses(
    "tpm-public",
    () => [tpmPublic()],
    (input) => parseTpmPublic(input).sign,
  ),
  parses("tpm-quote-file", quoteFiles, (input) => parseTpmQuoteFile(input).message),
  parses(
    "pem",
    () => [utf8(pem(key, authority, ark))],
    (input) => parsePemChain(input).length,
  ),
  parses(
    "amd-host-certificates",
    () => [
      utf8(
        JSON.stringify({
          vcekCert: pem(key),
          tcbm: "db1800000000000a",
          certificateChain: pem(authority, ark),
        }),
      ),
    ],
    (input) => parseAmdHostCertificates(Buffer.from(input).toString("latin1")).tcbm,
  ),
  authentic("snp-evidence", [partOf(wire, "evidence")], (input) => {
    verifyForm(milan, withPart(wire, "evidence", input));
    return input;
  }),
  authentic("azure-vtpm-evidence", [fromBase64Url(vtpmWire.evidence)], (input) => {
    const { evidence } = verifyVtpm({ ...vtpmWire, evidence: toBase64Url(input) });
    return [...evidence.vtpm.pcrs.values(), evidence.vtpm.extraData];
  }),
  authentic("uvm-endorsement", [makeUvmEndorsement()], (input) => {
    const { svn, launchMeasurement } = verifyUvmEndorsement(input, {
      issuers: [uvmIssuer],
      nowMs: NOW_MS,
    });
    return [String(svn), launchMeasurement];
  }),
];

function authentic(
  name: string,
  seeds: readonly Uint8Array[],
  run: (input: Uint8Array) => unknown,
): FuzzTarget {
  return { name, prepare: () => Promise.resolve({ seeds, run, promise: "authentic" }) };
}

/** Both forms: as TPM2_Quote answers, and with lengths of 8 bytes and PCRs. */
function quoteFiles(): readonly Uint8Array[] {
  const { message, signature } = quote;
  const size = Uint8Array.of(message.byteLength >>> 8, message.byteLength & 0xff);
  const counted = [
    u64Little(signature.byteLength),
    signature,
    u64Little(message.byteLength),
    message,
  ];
  return [
    concatBytes(size, message, encodeTpmSignature(rsaSignature)),
    concatBytes(...counted, u64Little(24), new Uint8Array(24 * 32)),
  ];
}

function u64Little(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
