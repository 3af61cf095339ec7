import { PpmlError } from "../../base/index.ts";

const MAX_PEM_CHARACTERS = 256 * 1024;
const MAX_CERTIFICATES = 10;
const BEGIN = "-----BEGIN CERTIFICATE-----\n";
const END = "-----END CERTIFICATE-----";
/** RFC 7468 section 2: 64 characters a line; RFC 2045 allowed 76. */
const MAX_LINE_CHARACTERS = 76;

/**
 * DER of 1 to 10 certificates in PEM, in the text's order; between them only blank lines, no other
 * text. At most 256 KiB.
 * @throws attest.invalid
 * @see RFC 7468 sections 2 and 5
 */
export function parsePemCertificates(text: string): Uint8Array[] {
  return splitPem(text).map(decodePemBody);
}

/**
 * DER of 1 to 10 certificates in the bytes of PEM text; NULs may end it, as they end texts of C.
 * @throws attest.invalid
 */
export function parsePemChain(pem: Uint8Array): Uint8Array[] {
  return splitPemChain(pem).map(decodePemBody);
}

/**
 * As `parsePemChain`, but undecoded: what stands between the first and the last line of each
 * certificate. `decodePemBody` checks that it is base64.
 * @throws attest.invalid
 */
export function splitPemChain(pem: Uint8Array): string[] {
  let end = pem.byteLength;
  while (end > 0 && pem[end - 1] === 0) end -= 1;
  return splitPem(Buffer.from(pem.buffer, pem.byteOffset, end).toString("latin1"));
}

/** The bytes of one body that `splitPemChain` gave. @throws attest.invalid */
export function decodePemBody(body: string): Uint8Array {
  let lines = 0;
  for (let start = 0; start < body.length; lines += 1) {
    const end = body.indexOf("\n", start);
    if (end <= start || end - start > MAX_LINE_CHARACTERS)
      throw invalid(
        `a certificate in it is not in lines of 1 to ${MAX_LINE_CHARACTERS} characters`,
      );
    start = end + 1;
  }
  const bytes = Buffer.from(body, "base64");
  if (!isBase64Of(bytes, body, body.length - lines))
    throw invalid("a certificate in it is not base64");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Whether `bytes` is all that base64 in lines, of `length` characters without their ends, says. Node passes
 * over what is no base64, which makes fewer bytes of it, takes base64url as well, and drops stray bits, which
 * only the last characters can have: so those alone are encoded again.
 */
function isBase64Of(bytes: Buffer, lines: string, length: number): boolean {
  const last = lines.slice(-8).replaceAll("\n", "").slice(-4);
  const again = bytes.toString("base64", bytes.byteLength - (bytes.byteLength % 3 || 3));
  const padding = last.endsWith("==") ? 2 : Number(last.endsWith("="));
  return (
    length % 4 === 0 &&
    bytes.byteLength === (length / 4) * 3 - padding &&
    again === last &&
    !lines.includes("-") &&
    !lines.includes("_")
  );
}

function splitPem(given: string): string[] {
  if (given.length > MAX_PEM_CHARACTERS) throw invalid("it is over 256 KiB");
  const text = given.includes("\r\n") ? given.replaceAll("\r\n", "\n") : given;
  const bodies: string[] = [];
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const end = text.startsWith(BEGIN, at) ? text.indexOf(END, at) : -1;
    const next = end + END.length;
    if (end === -1 || (next < text.length && text[next] !== "\n"))
      throw invalid("other text stands before, between or after its certificates");
    if (bodies.length === MAX_CERTIFICATES)
      throw invalid(`it has more than ${MAX_CERTIFICATES} certificates`);
    bodies.push(text.slice(at + BEGIN.length, end));
    at = skipSpace(text, next);
  }
  if (bodies.length === 0) throw invalid("it is empty");
  return bodies;
}

function skipSpace(text: string, from: number): number {
  for (let at = from; ; at += 1) if (!isSpace(text.charCodeAt(at))) return at;
}

/** White space that ASCII has. */
function isSpace(char: number): boolean {
  return char === 0x20 || (char >= 0x09 && char <= 0x0d);
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `expected certificates in PEM, but ${what}`);
}
