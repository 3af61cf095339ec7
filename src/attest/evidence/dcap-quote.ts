import { concatBytes, fromHex, PpmlError } from "../../base/index.ts";
import { encodeDcapSignature, parseDcapSignature } from "./dcap-signature.ts";
import type { DcapSignature } from "./dcap-signature.ts";
import { encodeSgxReport, parseSgxReport, SGX_REPORT_BYTES } from "./sgx-report.ts";
import type { SgxReport } from "./sgx-report.ts";
import { encodeTdReport, parseTdReport, TD_REPORT_BYTES } from "./td-report.ts";
import type { TdReport, TdReportType } from "./td-report.ts";

/** Attestation key type of ECDSA-256 with the P-256 curve, the only one in use. */
export const ECDSA_P256_ATTESTATION_KEY = 2;

/** QE Vendor ID of Intel. @see SGX ECDSA QuoteLibReference DCAP API rev. 1.21, A.4 table 3 */
export const INTEL_QE_VENDOR_ID: Uint8Array = fromHex("939a7233f79c4ca9940a0db3957f0607");

/**
 * A quote's header. @see SGX ECDSA QuoteLibReference DCAP API rev. 1.21, A.4 table 3 (version 3);
 * TDX DCAP Quoting Library API rev. 0.9, A.3.1 (version 4), sgx_quote_5.h (version 5)
 */
export type DcapQuoteHeader = {
  readonly version: 3 | 4 | 5;
  readonly attestationKeyType: number;
  /** The QE's and the PCE's SVN in version 3; reserved, and zero in quotes seen, from version 4 on. */
  readonly qeSvn: number;
  readonly pceSvn: number;
  /** 16 bytes. */
  readonly qeVendorId: Uint8Array;
  /** 20 bytes; the first 16 are the QE's identifier of the platform. */
  readonly userData: Uint8Array;
};

/** A quote over an SGX enclave (version 3) or a trust domain (versions 4 and 5). Nothing is verified. */
export type DcapQuote = SgxQuote | TdxQuote;

export type SgxQuote = QuoteParts & { readonly tee: "sgx"; readonly body: SgxReport };
export type TdxQuote = QuoteParts & { readonly tee: "tdx"; readonly body: TdReport };

type QuoteParts = {
  readonly header: DcapQuoteHeader;
  /** Header and body (with the body's descriptor in version 5): what the attestation key signed. */
  readonly signedBytes: Uint8Array;
  readonly signature: DcapSignature;
};

const HEADER_BYTES = 48;
const BODY_DESCRIPTOR_BYTES = 6;
const TEE_TYPE = { sgx: 0, tdx: 0x81 } as const;
const BODY_TYPES: readonly TdReportType[] = ["td10", "td15", "td15ex"];
/** Body type of the first of BODY_TYPES. @see sgx_quote_5.h: 1 SGX, 2 TD 1.0, 3 TD 1.5, 4 TD 1.5 extended */
const FIRST_TD_BODY_TYPE = 2;
/** Longest quote in bytes: hardware's have about 5,000. */
const MAX_QUOTE_BYTES = 128 * 1024;

/**
 * Parses a quote: SGX in version 3, TDX in versions 4 and 5, at most 128 KiB. Zero bytes may follow
 * its end, since buffers of a fixed size are common; any other byte there is refused. The result has
 * no part of `bytes`, whose later change does not matter.
 * @throws attest.invalid, attest.unsupported
 * @see docs/attestation.md section "DCAP quotes"
 */
export function parseDcapQuote(bytes: Uint8Array): DcapQuote {
  if (bytes.byteLength > MAX_QUOTE_BYTES)
    throw invalid(`expected at most ${MAX_QUOTE_BYTES} bytes, got ${bytes.byteLength}`);
  // Not slice(): a Buffer's is a view of the same memory, at an offset of its own.
  const own = new Uint8Array(bytes);
  requireBytes(own, 0, HEADER_BYTES);
  const view = new DataView(own.buffer);
  const version = parseVersion(view.getUint16(0, true), view.getUint32(4, true));
  const body = locateBody(own, version);
  requireBytes(own, body.end, 4);
  const start = body.end + 4;
  const end = start + view.getUint32(body.end, true);
  requireBytes(own, start, end - start);
  if (!isZeroFrom(own, end))
    throw invalid(`expected nothing but zero bytes after its ${end} bytes`);
  const header = parseHeader(own, view, version);
  const signedBytes = own.subarray(0, body.end);
  const signature = parseDcapSignature(own.subarray(start, end), version);
  const bytesOfBody = own.subarray(body.start, body.end);
  return body.type === "sgx"
    ? { tee: "sgx", header, signedBytes, signature, body: parseSgxReport(bytesOfBody) }
    : { tee: "tdx", header, signedBytes, signature, body: parseTdReport(bytesOfBody, body.type) };
}

/**
 * Encodes header and body: what the attestation key has to sign.
 * @throws attest.invalid where the body is not one that the version has
 */
export function encodeSignedBytes(
  quote: Pick<SgxQuote, "tee" | "header" | "body"> | Pick<TdxQuote, "tee" | "header" | "body">,
): Uint8Array {
  const { header, tee } = quote;
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, header.version, true);
  view.setUint16(2, header.attestationKeyType, true);
  view.setUint32(4, TEE_TYPE[tee], true);
  view.setUint16(8, header.qeSvn, true);
  view.setUint16(10, header.pceSvn, true);
  bytes.set(header.qeVendorId, 12);
  bytes.set(header.userData, 28);
  if (tee === "sgx") {
    if (header.version !== 3) throw invalid("an SGX quote is of version 3");
    return concatBytes(bytes, encodeSgxReport(quote.body));
  }
  const { type } = quote.body;
  if (header.version === 3 || (header.version === 4 && type !== "td10"))
    throw invalid(`a quote of version ${header.version} has no body of type ${type}`);
  const body = encodeTdReport(quote.body);
  if (header.version === 4) return concatBytes(bytes, body);
  const descriptor = new Uint8Array(BODY_DESCRIPTOR_BYTES);
  const fields = new DataView(descriptor.buffer);
  fields.setUint16(0, FIRST_TD_BODY_TYPE + BODY_TYPES.indexOf(type), true);
  fields.setUint32(2, body.byteLength, true);
  return concatBytes(bytes, descriptor, body);
}

/** Encodes a whole quote from its signed bytes and its signature data. The inverse of `parseDcapQuote`. */
export function encodeDcapQuote(quote: {
  readonly header: Pick<DcapQuoteHeader, "version">;
  readonly signedBytes: Uint8Array;
  readonly signature: Omit<DcapSignature, "qeReportBytes">;
}): Uint8Array {
  const signature = encodeDcapSignature(quote.signature, quote.header.version);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, signature.byteLength, true);
  return concatBytes(quote.signedBytes, length, signature);
}

function parseVersion(version: number, teeType: number): 3 | 4 | 5 {
  if (version === 3 && teeType === TEE_TYPE.sgx) return version;
  if ((version === 4 || version === 5) && teeType === TEE_TYPE.tdx) return version;
  throw new PpmlError(
    "attest.unsupported",
    `expected an SGX quote of version 3 or a TDX quote of version 4 or 5, got version ${version} and TEE type 0x${teeType.toString(16)}`,
  );
}

function locateBody(
  bytes: Uint8Array,
  version: 3 | 4 | 5,
): { readonly type: "sgx" | TdReportType; readonly start: number; readonly end: number } {
  const span = (type: "sgx" | TdReportType, start: number) => {
    const length = type === "sgx" ? SGX_REPORT_BYTES : TD_REPORT_BYTES[type];
    requireBytes(bytes, start, length);
    return { type, start, end: start + length };
  };
  if (version === 3) return span("sgx", HEADER_BYTES);
  if (version === 4) return span("td10", HEADER_BYTES);
  requireBytes(bytes, HEADER_BYTES, BODY_DESCRIPTOR_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = view.getUint16(HEADER_BYTES, true);
  const type = BODY_TYPES[number - FIRST_TD_BODY_TYPE];
  if (type === undefined)
    throw new PpmlError(
      "attest.unsupported",
      `expected a TD report of body type 2, 3 or 4 in the quote, got ${number}`,
    );
  const body = span(type, HEADER_BYTES + BODY_DESCRIPTOR_BYTES);
  const size = view.getUint32(HEADER_BYTES + 2, true);
  if (size !== body.end - body.start)
    throw invalid(`expected ${body.end - body.start} bytes of body type ${number}, got ${size}`);
  return body;
}

function parseHeader(bytes: Uint8Array, view: DataView, version: 3 | 4 | 5): DcapQuoteHeader {
  return {
    version,
    attestationKeyType: view.getUint16(2, true),
    qeSvn: view.getUint16(8, true),
    pceSvn: view.getUint16(10, true),
    qeVendorId: bytes.subarray(12, 28),
    userData: bytes.subarray(28, HEADER_BYTES),
  };
}

function isZeroFrom(bytes: Uint8Array, from: number): boolean {
  for (let index = from; index < bytes.byteLength; index += 1) if (bytes[index] !== 0) return false;
  return true;
}

function requireBytes(bytes: Uint8Array, offset: number, length: number): void {
  if (length > bytes.byteLength - offset)
    throw invalid(`it is cut: ${length} bytes are to follow at ${offset}`);
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `not a valid DCAP quote: ${what}`);
}
