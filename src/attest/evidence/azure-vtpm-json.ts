import { z } from "zod";
import { fromBase64, fromBase64Url, fromHex, isPpmlError, PpmlError } from "../../base/index.ts";
import { parseUniqueJson } from "../token/unique-json.ts";
import { parsePemCertificates } from "../x509/pem.ts";
import { bareRsaSsa, parseTpmQuoteFile, pcrsInOrder } from "./tpm-quote-form.ts";
import type { TpmQuoteParts } from "./tpm-quote-form.ts";

const MAX_JSON_BYTES = 256 * 1024;
const MAX_PART_BYTES = 64 * 1024;

/** The parts of an Azure vTPM's Evidence, decoded but not verified. */
export type AzureVtpmParts = {
  readonly hclReport: Uint8Array;
  readonly quote: Omit<TpmQuoteParts, "pcrs">;
  /** PCR values of the SHA-256 bank by index. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** The VCEK's certificate in DER, where the Evidence brings it. */
  readonly vcek: Uint8Array | null;
  /** The TD quote, where the Evidence brings it. */
  readonly tdQuote: Uint8Array | null;
};

const base64Part = z.string().max(Math.ceil(MAX_PART_BYTES / 3) * 4);
const numbersPart = z.array(z.int().min(0).max(255)).max(MAX_PART_BYTES);
const hexPart = (bytes: number) => z.string().max(2 * bytes);
const pemPart = z.string().max(MAX_PART_BYTES);

const numbersQuote = z.strictObject({
  signature: numbersPart,
  message: numbersPart,
  pcrs: z.array(numbersPart).max(24),
});
const hexQuote = z.strictObject({
  signature: hexPart(512),
  message: hexPart(1024),
  pcrs: z.array(hexPart(32)).max(24),
});

/** CoCo's az-snp-vtpm Evidence before it had a version. */
const snpNumbersSchema = z.strictObject({
  quote: numbersQuote,
  report: numbersPart,
  vcek: pemPart,
});
/** CoCo's az-tdx-vtpm Evidence before it had a version. */
const tdxNumbersSchema = z.strictObject({
  tpm_quote: numbersQuote,
  hcl_report: numbersPart,
  td_quote: numbersPart,
});
/** CoCo's az-snp-vtpm Evidence, versions 1 and 2 (2: the report data lies in user-data too). */
const snpVersionedSchema = z.strictObject({
  version: z.union([z.literal(1), z.literal(2)]),
  tpm_quote: hexQuote,
  hcl_report: base64Part,
  vcek: base64Part,
});
/** CoCo's az-tdx-vtpm Evidence, version 1. */
const tdxVersionedSchema = z.strictObject({
  version: z.literal(1),
  tpm_quote: hexQuote,
  hcl_report: base64Part,
  td_quote: base64Part,
});
/** Evidence of flashbots/attested-tls; the certificates of the AK are not needed, the report binds it. */
const attestedTlsSchema = z.strictObject({
  tdx_quote_base64: base64Part,
  hcl_report_base64: base64Part,
  tpm_attestation: z.strictObject({
    ak_certificate_pem: pemPart,
    ak_intermediate_certificates_pem: z.array(pemPart).max(8).optional(),
    quote: numbersQuote,
    event_log: z.array(z.unknown()).max(0),
    instance_info: z.null(),
  }),
});
/** Evidence of Azure/azure-cleanroom for a confidential VM. */
const cleanRoomSchema = z.strictObject({
  evidence: z.strictObject({
    tpmQuote: base64Part,
    hclReport: base64Part,
    snpReport: base64Part,
    aikCert: base64Part,
    pcrs: z.record(z.string().regex(/^(?:[0-9]|1[0-9]|2[0-3])$/), z.string().max(64)),
    runtimeClaims: z.unknown(),
  }),
  nonce: z.string().max(200),
  platformCertificates: pemPart,
  imageReference: z.record(z.string(), z.string()),
});

const FORMS: readonly ((value: unknown) => AzureVtpmParts | null)[] = [
  form(snpVersionedSchema, (value) => ({
    hclReport: base64Url(value.hcl_report),
    ...fromHexQuote(value.tpm_quote),
    vcek: base64Url(value.vcek),
    tdQuote: null,
  })),
  form(tdxVersionedSchema, (value) => ({
    hclReport: base64Url(value.hcl_report),
    ...fromHexQuote(value.tpm_quote),
    vcek: null,
    tdQuote: base64Url(value.td_quote),
  })),
  form(snpNumbersSchema, (value) => ({
    hclReport: Uint8Array.from(value.report),
    ...fromNumbersQuote(value.quote),
    vcek: firstCertificate(value.vcek),
    tdQuote: null,
  })),
  form(tdxNumbersSchema, (value) => ({
    hclReport: Uint8Array.from(value.hcl_report),
    ...fromNumbersQuote(value.tpm_quote),
    vcek: null,
    tdQuote: Uint8Array.from(value.td_quote),
  })),
  form(attestedTlsSchema, (value) => ({
    hclReport: base64Url(value.hcl_report_base64),
    ...fromNumbersQuote(value.tpm_attestation.quote),
    vcek: null,
    tdQuote: base64Url(value.tdx_quote_base64),
  })),
  form(cleanRoomSchema, (value) => {
    const { message, signature } = parseTpmQuoteFile(fromBase64(value.evidence.tpmQuote));
    const pcrs = Object.entries(value.evidence.pcrs).map(
      ([index, digest]) => [Number(index), fromBase64(digest)] as const,
    );
    return {
      hclReport: fromBase64(value.evidence.hclReport),
      quote: { message, signature },
      pcrs: new Map(pcrs),
      vcek: firstCertificate(value.platformCertificates),
      tdQuote: null,
    };
  }),
];

/**
 * Parses the JSON of an Azure vTPM's Evidence, at most 256 KiB, in one of the forms that attesters
 * send: CoCo's (az-snp-vtpm without version, 1, 2; az-tdx-vtpm without version, 1), attested-tls's,
 * azure-cleanroom's. The form is found by its keys; unknown keys are refused.
 * @throws attest.invalid, attest.unsupported
 * @see github.com/confidential-containers/guest-components, attester; github.com/flashbots/attested-tls; github.com/Azure/azure-cleanroom
 */
export function parseAzureVtpmJson(bytes: Uint8Array): AzureVtpmParts {
  if (bytes.byteLength > MAX_JSON_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected at most ${MAX_JSON_BYTES} bytes of vTPM Evidence, got ${bytes.byteLength}`,
    );
  try {
    const value = parseUniqueJson(bytes, "the vTPM Evidence");
    for (const read of FORMS) {
      const parts = read(value);
      if (parts !== null) return parts;
    }
  } catch (cause) {
    if (isPpmlError(cause, "attest.invalid") || isPpmlError(cause, "attest.unsupported"))
      throw cause;
    throw new PpmlError("attest.invalid", "expected JSON with its bytes in hex or base64", {
      cause,
    });
  }
  throw new PpmlError(
    "attest.invalid",
    "expected the JSON of an Azure vTPM's Evidence: tpm_quote, hcl_report and vcek or td_quote, with version 1 or 2",
  );
}

function form<T>(
  schema: z.ZodType<T>,
  read: (value: T) => AzureVtpmParts,
): (value: unknown) => AzureVtpmParts | null {
  return (value) => {
    const result = schema.safeParse(value);
    return result.success ? read(result.data) : null;
  };
}

type QuoteOf = Pick<AzureVtpmParts, "quote" | "pcrs">;

function fromNumbersQuote(quote: z.infer<typeof numbersQuote>): QuoteOf {
  return {
    quote: {
      message: Uint8Array.from(quote.message),
      signature: bareRsaSsa(Uint8Array.from(quote.signature)),
    },
    pcrs: pcrsInOrder(quote.pcrs.map((value) => Uint8Array.from(value))),
  };
}

function fromHexQuote(quote: z.infer<typeof hexQuote>): QuoteOf {
  return {
    quote: { message: fromHex(quote.message), signature: bareRsaSsa(fromHex(quote.signature)) },
    pcrs: pcrsInOrder(quote.pcrs.map(fromHex)),
  };
}

/** base64url; attesters differ in whether they pad it. */
function base64Url(text: string): Uint8Array {
  return fromBase64Url(text.length % 4 === 0 ? text.replace(/={1,2}$/, "") : text);
}

/** The leaf of a PEM chain. */
function firstCertificate(pem: string): Uint8Array {
  const [first] = parsePemCertificates(pem);
  if (first === undefined) throw new PpmlError("attest.invalid", "expected a certificate in PEM");
  return first;
}
