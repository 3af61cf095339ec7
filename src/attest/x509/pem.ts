import { fromBase64, PpmlError } from "../../base/index.ts";

const MAX_PEM_CHARACTERS = 256 * 1024;
const MAX_CERTIFICATES = 10;
const BLOCK =
  /^-----BEGIN CERTIFICATE-----\n((?:[A-Za-z0-9+/]{1,76}={0,2}\n)+)-----END CERTIFICATE-----(?:\n|$)/;

/**
 * DER of 1 to 10 certificates in PEM, in the text's order; between them only blank lines, no other
 * text. At most 256 KiB.
 * @throws attest.invalid
 * @see RFC 7468 sections 2 and 5
 */
export function parsePemCertificates(text: string): Uint8Array[] {
  if (text.length > MAX_PEM_CHARACTERS) throw invalid("it is over 256 KiB");
  const certificates: Uint8Array[] = [];
  let rest = text.replaceAll("\r\n", "\n").replace(/^\s+/, "");
  while (rest !== "") {
    const [whole, body] = BLOCK.exec(rest) ?? [];
    if (whole === undefined || body === undefined)
      throw invalid("other text stands before, between or after its certificates");
    if (certificates.length === MAX_CERTIFICATES)
      throw invalid(`it has more than ${MAX_CERTIFICATES} certificates`);
    certificates.push(decode(body.replaceAll("\n", "")));
    rest = rest.slice(whole.length).replace(/^\s+/, "");
  }
  if (certificates.length === 0) throw invalid("it is empty");
  return certificates;
}

/**
 * DER of 1 to 10 certificates in the bytes of PEM text; NULs may end it, as they end texts of C.
 * @throws attest.invalid
 */
export function parsePemChain(pem: Uint8Array): Uint8Array[] {
  let end = pem.byteLength;
  while (end > 0 && pem[end - 1] === 0) end -= 1;
  return parsePemCertificates(Buffer.from(pem.buffer, pem.byteOffset, end).toString("latin1"));
}

function decode(text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch (cause) {
    throw new PpmlError("attest.invalid", "a certificate in PEM is not base64", { cause });
  }
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `expected certificates in PEM, but ${what}`);
}
