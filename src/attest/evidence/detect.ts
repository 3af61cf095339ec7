import { fromUtf8, isPpmlError, PpmlError, toBase64Url, utf8 } from "../../base/index.ts";
import { parseSnpCertificateTable } from "../collect/snp-certificate-table.ts";
import { parseUniqueJson } from "../token/unique-json.ts";
import { detectJson, snpWire } from "./detect-json.ts";
import type { DetectedEvidence } from "./detected.ts";
import { SNP_REPORT_BYTES } from "./snp-report.ts";

const MAX_BYTES = 4 * 1024 * 1024;
const QUOTE_HEADER_BYTES = 48;
const OE_HEADER_BYTES = 16;
const SNP_RESPONSE_HEADER_BYTES = 32;
/** Attestation key types: ECDSA P-256, and P-384, which the parser refuses by its name. @see Intel SGX ECDSA QuoteLibReference, A.4 */
const ECDSA_TYPES: ReadonlySet<number> = new Set([2, 3]);
const TEE_TDX = 0x81;
/** More than is known: the parser refuses others by their number. Text begins with a larger one. */
const MAX_SNP_VERSION = 255;
/** "HCLA": an HCL report begins so. */
const HCL_MAGIC = utf8("HCLA");
/** Names under which JSON of other programs holds a quote or report. */
const QUOTE_MEMBERS: ReadonlySet<string> = new Set([
  "quote",
  "Quote",
  "QuoteHex",
  "rawQuote",
  "raw_quote",
  "isvQuote",
  "sgx_quote",
  "td_quote",
  "tdx_quote",
  "intel_quote",
  "report",
  "attestation_report",
  "snp_report",
  "snpReport",
  "evidence",
]);

/**
 * Finds out what Evidence a file holds, of at most 4 MiB: raw bytes, hex or base64 of a quote or
 * report, or an SNP report with the host's certificates behind it; a token; the JSON of an Azure vTPM,
 * of configfs-tsm or of a CoCo guest; wire Evidence; a receipt of a result; other JSON with a quote in
 * one of the usual members; or any of these as a JSON text or list of bytes.
 * @throws attest.invalid, attest.unsupported
 */
export function detectEvidence(bytes: Uint8Array): DetectedEvidence {
  if (bytes.byteLength > MAX_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected at most ${MAX_BYTES} bytes of Evidence, got ${bytes.byteLength}`,
    );
  if (bytes.byteLength === 0) throw unknown("it is empty");
  const raw = reportOfResponse(bytes) ?? withoutOeHeader(bytes);
  const binary = kindOfBytes(raw);
  if (binary !== null) return bare(binary, raw);
  const withTable = reportWithTable(bytes);
  if (withTable !== null) return withTable;
  if (isHclReport(raw))
    throw unknown(
      "it is an HCL report alone, which binds neither a nonce nor what the VM runs: give it together with the TPM's quote, as Azure vTPM Evidence",
    );
  const text = textOf(bytes);
  if (text === null) throw unknown("its first bytes are those of no quote or report");
  if (/^[{["]/.test(text)) return fromJson(text);
  if (/^eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/.test(text)) return tokenOf(text);
  const decoded = decodeText(text);
  if (decoded === null) throw unknown("it is text, but neither JSON, a token, hex nor base64");
  return detectEvidence(decoded);
}

function bare(type: string, bytes: Uint8Array): DetectedEvidence {
  return {
    wire: { type, evidence: toBase64Url(bytes), collateral: {} },
    runtimeData: null,
    recorded: null,
  };
}

function tokenOf(text: string): DetectedEvidence {
  return bare(isEar(text) ? "ear" : "maa", utf8(text));
}

/**
 * A report with the host's certificate table behind it, which is zero throughout where the host gave
 * none; null for anything else.
 */
function reportWithTable(bytes: Uint8Array): DetectedEvidence | null {
  const report = bytes.subarray(0, SNP_REPORT_BYTES);
  if (bytes.byteLength === report.byteLength || kindOfBytes(report) !== "snp") return null;
  const table = bytes.subarray(SNP_REPORT_BYTES);
  try {
    const certificates = parseSnpCertificateTable(table);
    return Object.keys(certificates).length === 0 && table.some((byte) => byte !== 0)
      ? null
      : { wire: snpWire(report, certificates), runtimeData: null, recorded: null };
  } catch (error) {
    if (isPpmlError(error)) return null; // No table: the caller says what was expected.
    throw error;
  }
}

/** The Open Enclave SDK puts 16 bytes before a quote. @see openenclave, oe_report_header_t: version 1, type 2 (remote), u64 size */
function withoutOeHeader(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength < OE_HEADER_BYTES + QUOTE_HEADER_BYTES) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isHeader =
    view.getUint32(0, true) === 1 &&
    view.getUint32(4, true) === 2 &&
    view.getBigUint64(8, true) === BigInt(bytes.byteLength - OE_HEADER_BYTES);
  return isHeader ? bytes.subarray(OE_HEADER_BYTES) : bytes;
}

/**
 * The report in the firmware's answer to SNP_GET_REPORT, as Linux hands it over: status 0, the report's size,
 * zeros, the report, and zeros up to the end of the buffer. Null for anything else.
 * @see SEV-SNP Firmware ABI, "MSG_REPORT_RSP"; Linux include/uapi/linux/sev-guest.h, snp_report_resp
 */
function reportOfResponse(bytes: Uint8Array): Uint8Array | null {
  const end = SNP_RESPONSE_HEADER_BYTES + SNP_REPORT_BYTES;
  if (bytes.byteLength < end) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isResponse =
    view.getUint32(0, true) === 0 &&
    view.getUint32(4, true) === SNP_REPORT_BYTES &&
    bytes.subarray(8, SNP_RESPONSE_HEADER_BYTES).every((byte) => byte === 0) &&
    bytes.subarray(end).every((byte) => byte === 0);
  return isResponse ? bytes.subarray(SNP_RESPONSE_HEADER_BYTES, end) : null;
}

/** The wire type that binary Evidence has by its first bytes; null for anything else. */
function kindOfBytes(bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength >= QUOTE_HEADER_BYTES && ECDSA_TYPES.has(view.getUint16(2, true))) {
    const version = view.getUint16(0, true);
    const tee = view.getUint32(4, true);
    if (version === 3) return "sgx";
    if (version === 4 || version === 5) return tee === TEE_TDX ? "tdx" : "sgx";
  }
  if (bytes.byteLength === SNP_REPORT_BYTES && view.getUint32(0, true) <= MAX_SNP_VERSION)
    return "snp";
  return null;
}

function isHclReport(bytes: Uint8Array): boolean {
  return HCL_MAGIC.every((byte, index) => bytes[index] === byte);
}

/** Another Verifier's Attestation Result says so in its profile; only for choosing who reads it. */
function isEar(token: string): boolean {
  const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
  return /"ear(?:\.verifier-id|_verifier_id)"|"eat_profile":\s*"tag:/.test(payload);
}

function textOf(bytes: Uint8Array): string | null {
  try {
    const text = fromUtf8(bytes).trim();
    return text !== "" && !/[^\s\u0020-\uffff]/.test(text) ? text : null;
  } catch {
    return null; // Not UTF-8, so it is no text: the caller says what was expected.
  }
}

function decodeText(text: string): Uint8Array | null {
  const compact = text.replace(/\s+/g, "");
  if (/^(?:0[xX])?(?:[0-9a-fA-F]{2})+$/.test(compact))
    return new Uint8Array(Buffer.from(compact.replace(/^0[xX]/, ""), "hex"));
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(compact) || /^[A-Za-z0-9_-]+={0,2}$/.test(compact))
    return new Uint8Array(Buffer.from(compact, "base64"));
  return null;
}

function fromJson(json: string): DetectedEvidence {
  const value = parseText(json);
  if (typeof value === "string" && value !== "") return detectEvidence(utf8(value));
  const bytes = bytesOf(value);
  if (bytes !== null && bytes.byteLength > 0) return detectEvidence(bytes);
  return detectJson(value) ?? fromMember(value);
}

/**
 * Bytes as JSON has them: a list of numbers, or what Node writes of a Buffer; null for anything else. By
 * hand: a schema would keep an issue for each of a million wrong items.
 */
function bytesOf(value: unknown): Uint8Array | null {
  const data = isObject(value) && value["type"] === "Buffer" ? value["data"] : value;
  return Array.isArray(data) && data.every(isByte) ? Uint8Array.from(data) : null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isByte(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 255;
}

/** No member twice in one object, and a bound on the depth: what is found later walks the whole of it. */
function parseText(text: string): unknown {
  try {
    return parseUniqueJson(utf8(text), "the Evidence");
  } catch (cause) {
    if (!(cause instanceof PpmlError)) throw cause;
    throw unknown(`it begins as JSON and cannot be read as such (${cause.message})`, cause);
  }
}

function fromMember(value: unknown): DetectedEvidence {
  const members = isObject(value) ? Object.entries(value) : [];
  const [found, ...more] = members
    .filter(([name]) => QUOTE_MEMBERS.has(name))
    .flatMap(([, member]) => quoteIn(member));
  // Programs would differ in which of them they read.
  if (found !== undefined && more.some(({ wire }) => wire.evidence !== found.wire.evidence))
    throw unknown("its JSON holds more than one quote or report");
  if (found !== undefined) return found;
  const token = new Map<string, unknown>(members).get("token");
  if (typeof token === "string") return tokenOf(token);
  throw unknown("its JSON has none of the forms that attesters write");
}

/** The quote or report that a member holds; none where it holds something else. */
function quoteIn(member: unknown): DetectedEvidence[] {
  const bytes = typeof member === "string" ? decodeText(member) : bytesOf(member);
  if (bytes === null) return [];
  const raw = withoutOeHeader(bytes);
  const kind = kindOfBytes(raw);
  return kind === null ? [] : [bare(kind, raw)];
}

function unknown(what: string, cause?: unknown): PpmlError {
  return new PpmlError(
    "attest.unsupported",
    `this is no Evidence that ppml knows: ${what}; expected an SGX or TDX quote, an SEV-SNP report, Azure vTPM Evidence, a token, wire Evidence or a result's receipt`,
    cause === undefined ? {} : { cause },
  );
}
