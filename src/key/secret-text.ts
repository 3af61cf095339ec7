import { utf8 } from "../base/bytes.ts";
import { Secret } from "../base/secret.ts";

const DIGITS = utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

/**
 * base64url without padding of secret bytes, as bytes of ASCII: strings cannot be zeroed.
 * @see RFC 4648 section 5
 */
export function encodeSecretText(secret: Secret): Secret {
  return secret.expose((bytes) => {
    const text = new Uint8Array(Math.ceil((bytes.byteLength * 4) / 3));
    for (let digit = 0; digit < text.byteLength; digit++) {
      const bit = digit * 6;
      const [high = 0, low = 0] = bytes.subarray(bit >> 3, (bit >> 3) + 2);
      text[digit] = DIGITS[(((high << 8) | low) >> (10 - (bit & 7))) & 63] ?? 0;
    }
    return Secret.take(text);
  });
}

/** Parses what `encodeSecretText` writes; null for any other text, stray last bits included. */
export function parseSecretText(text: Uint8Array): Secret | null {
  const bytes = new Uint8Array((text.byteLength * 6) >> 3);
  const stray = (text.byteLength * 6) & 7;
  let bits = 0;
  for (const [index, character] of text.entries()) {
    const digit = DIGITS.indexOf(character);
    if (digit < 0) return null;
    bits = ((bits << 6) | digit) & 0xffff;
    const held = ((index + 1) * 6) & 7;
    // A byte is whole after the second, third and fourth digit of each group of four.
    if ((index & 3) !== 0) bytes[(((index + 1) * 6) >> 3) - 1] = bits >> held;
  }
  // A lone digit over, or bits that no byte has: another text for the same bytes.
  if (stray === 6 || (bits & ((1 << stray) - 1)) !== 0) return null;
  return Secret.take(bytes);
}
