import { fromUtf8, PpmlError, toBase64Url, utf8 } from "../../base/index.ts";
import { parseUniqueJson } from "../token/unique-json.ts";
import { detectJson } from "./detect-json.ts";
import type { DetectedEvidence } from "./detected.ts";
import { SNP_REPORT_BYTES } from "./snp-report.ts";

const MAX_BYTES = 4 * 1024 * 1024;
const QUOTE_HEADER_BYTES = 48;
const OE_HEADER_BYTES = 16;
const ECDSA_P256 = 2;
const TEE_TDX = 0x81;
/** "HCLA": an HCL report begins so. */
const HCL_MAGIC = utf8("HCLA");
/** Names under which JSON of other programs holds a quote or report. */
const QUOTE_MEMBERS = ["quote", "Quote", "QuoteHex", "report", "attestation_report", "evidence"];

/**
 * Finds out what Evidence a file holds, of at most 4 MiB: raw bytes, hex or base64 of a quote or
 * report; a token; the JSON of an Azure vTPM; wire Evidence; a receipt of a result; or other JSON with
 * a quote in one of the usual members.
 * @throws attest.invalid, attest.unsupported
 */
export function detectEvidence(bytes: Uint8Array): DetectedEvidence {
  if (bytes.byteLength > MAX_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected at most ${MAX_BYTES} bytes of Evidence, got ${bytes.byteLength}`,
    );
  const raw = withoutOeHeader(bytes);
  const binary = kindOfBytes(raw);
  if (binary !== null) return bare(binary, raw);
  if (isHclReport(raw))
    throw unknown(
      "it is an HCL report alone, which binds neither a nonce nor what the VM runs: give it together with the TPM's quote, as Azure vTPM Evidence",
    );
  const text = textOf(bytes);
  if (text === null) throw unknown("its first bytes are those of no quote or report");
  if (text.startsWith("{")) return fromJson(text);
  if (/^eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/.test(text))
    return bare(isEar(text) ? "ear" : "maa", utf8(text));
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

/** The wire type that binary Evidence has by its first bytes; null for anything else. */
function kindOfBytes(bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength >= QUOTE_HEADER_BYTES && view.getUint16(2, true) === ECDSA_P256) {
    const version = view.getUint16(0, true);
    const tee = view.getUint32(4, true);
    if (version === 3) return "sgx";
    if (version === 4 || version === 5) return tee === TEE_TDX ? "tdx" : "sgx";
  }
  if (bytes.byteLength === SNP_REPORT_BYTES && view.getUint32(0, true) <= 5) return "snp";
  return null;
}

function isHclReport(bytes: Uint8Array): boolean {
  return HCL_MAGIC.every((byte, index) => bytes[index] === byte);
}

/** Another Verifier's Attestation Result says so in its profile; only for choosing who reads it. */
function isEar(token: string): boolean {
  const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
  return /"ear\.verifier-id"|"eat_profile":\s*"tag:/.test(payload);
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
  if (/^(?:0x)?(?:[0-9a-fA-F]{2})+$/.test(compact))
    return new Uint8Array(Buffer.from(compact.replace(/^0x/, ""), "hex"));
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(compact) || /^[A-Za-z0-9_-]+={0,2}$/.test(compact))
    return new Uint8Array(Buffer.from(compact, "base64"));
  return null;
}

function fromJson(text: string): DetectedEvidence {
  const value = parseText(text);
  return detectJson(value) ?? fromMember(value);
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
  const members = new Map<string, unknown>(Object.entries(value ?? {}));
  for (const name of QUOTE_MEMBERS) {
    const member = members.get(name);
    const text = typeof member === "string" ? decodeText(member) : null;
    const decoded = text === null ? null : withoutOeHeader(text);
    const kind = decoded === null ? null : kindOfBytes(decoded);
    if (decoded !== null && kind !== null) return bare(kind, decoded);
  }
  const token = members.get("token");
  if (typeof token === "string") return bare("maa", utf8(token));
  throw unknown("its JSON has none of the forms that attesters write");
}

function unknown(what: string, cause?: unknown): PpmlError {
  return new PpmlError(
    "attest.unsupported",
    `this is no Evidence that ppml knows: ${what}; expected an SGX or TDX quote, an SEV-SNP report, Azure vTPM Evidence, a token, wire Evidence or a result's receipt`,
    cause === undefined ? {} : { cause },
  );
}
