import { concatBytes, Secret, utf8 } from "../base/index.ts";

const DIGITS = utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PADDING = 0x3d;
const LINE_FEED = 0x0a;

/** Characters of a line of PEM. @see RFC 7468 section 2 */
const LINE_CHARACTERS = 64;

/** base64 with padding of secret bytes, as bytes of ASCII: strings cannot be zeroed. @see RFC 4648 section 4 */
export function encodeSecretBase64(secret: Secret): Secret {
  return secret.expose((bytes) => Secret.take(base64Of(bytes)));
}

/**
 * PEM of secret DER, in lines of 64 characters.
 * @param label what stands after BEGIN and END, such as "PRIVATE KEY"
 * @see RFC 7468 section 3
 */
export function encodeSecretPem(label: string, der: Secret): Secret {
  using text = encodeSecretBase64(der);
  return text.expose((digits) => {
    const lines = new Uint8Array(
      digits.byteLength + Math.ceil(digits.byteLength / LINE_CHARACTERS),
    );
    let to = 0;
    for (let from = 0; from < digits.byteLength; from += LINE_CHARACTERS) {
      const line = digits.subarray(from, from + LINE_CHARACTERS);
      lines.set(line, to);
      to += line.byteLength;
      lines[to] = LINE_FEED;
      to += 1;
    }
    const pem = concatBytes(
      utf8(`-----BEGIN ${label}-----\n`),
      lines,
      utf8(`-----END ${label}-----\n`),
    );
    lines.fill(0);
    return Secret.take(pem);
  });
}

function base64Of(bytes: Uint8Array): Uint8Array {
  const text = new Uint8Array(Math.ceil(bytes.byteLength / 3) * 4).fill(PADDING);
  const digits = Math.ceil((bytes.byteLength * 4) / 3);
  for (let digit = 0; digit < digits; digit++) {
    const bit = digit * 6;
    const [high = 0, low = 0] = bytes.subarray(bit >> 3, (bit >> 3) + 2);
    text[digit] = DIGITS[(((high << 8) | low) >> (10 - (bit & 7))) & 63] ?? 0;
  }
  return text;
}
