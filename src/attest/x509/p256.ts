import { createPublicKey, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { equalPublicBytes, fromHex, toBase64 } from "../../base/index.ts";

/** SubjectPublicKeyInfo of an EC key on P-256 up to its uncompressed point's x and y. @see RFC 5480 section 2 */
const SPKI_PREFIX = fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
const SPKI_PREFIX_BASE64 = toBase64(SPKI_PREFIX);
const SPKI_BYTES = 91;
/** How many keys of issuers are kept: Intel has about five at a time. */
const MAX_KEPT_KEYS = 32;

/** Keys that were imported from a SubjectPublicKeyInfo of P-256: asking Node for their curve is slow. */
const known = new WeakSet<KeyObject>();
/** Imported keys by their SubjectPublicKeyInfo: a function's results, which no trust hangs on. */
const kept = new Map<string, KeyObject>();

/** Tells whether a key is an EC key on P-256. */
export function isP256(key: KeyObject): boolean {
  if (known.has(key)) return true;
  return key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
}

/**
 * Imports a SubjectPublicKeyInfo of any kind of key. Node throws where the key is not valid.
 * @see RFC 5280 section 4.1.2.7
 */
export function importSpki(spki: Uint8Array): KeyObject {
  const key = importBase64(toBase64(spki));
  const { length } = SPKI_PREFIX;
  if (spki.byteLength === SPKI_BYTES && equalPublicBytes(spki.subarray(0, length), SPKI_PREFIX))
    known.add(key);
  return key;
}

/**
 * As `importSpki`, keeping the key: importing one costs as much as verifying a signature, and the same
 * few keys issue everything.
 */
export function importIssuerSpki(spki: Uint8Array): KeyObject {
  const name = Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength).toString("latin1");
  const before = kept.get(name);
  if (before !== undefined) return before;
  const key = importSpki(spki);
  const [oldest] = kept.keys();
  if (kept.size >= MAX_KEPT_KEYS && oldest !== undefined) kept.delete(oldest);
  kept.set(name, key);
  return key;
}

/** Imports a point of P-256, x and y of 32 bytes each. Node throws where it is not on the curve. */
export function importP256Point(point: Uint8Array): KeyObject {
  // The prefix has 27 bytes, so that its base64 ends where that of the point begins.
  const key = importBase64(SPKI_PREFIX_BASE64 + toBase64(point));
  if (point.byteLength === 64) known.add(key);
  return key;
}

/** As PEM text: Node takes 12 microseconds for it, and 33 for the same key in an object of options. */
function importBase64(spki: string): KeyObject {
  return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${spki}\n-----END PUBLIC KEY-----\n`);
}

/** Verifies ECDSA on P-256 with SHA-256; the signature is DER. @see RFC 5758 section 3.2 */
export function verifyP256(data: Uint8Array, key: KeyObject, signature: Uint8Array): boolean {
  // Given the bare key, Node takes DER signatures, and saves half of what the curve's work costs.
  return isP256(key) && verify("sha256", data, key, signature);
}

/** Verifies ECDSA on P-256 with SHA-256; the signature is r and s, 64 bytes, else it is none. */
export function verifyP256Raw(data: Uint8Array, key: KeyObject, signature: Uint8Array): boolean {
  return signature.byteLength === 64 && verifyP256(data, key, encodeSignature(signature));
}

/** Ecdsa-Sig-Value of r and s: two numbers without leading zeros. @see RFC 3279 section 2.2.3 */
function encodeSignature(signature: Uint8Array): Uint8Array {
  // From Node's pool: a Uint8Array of more than 64 bytes is an allocation of its own.
  const der = Buffer.allocUnsafe(72);
  let at = 2;
  for (const end of [32, 64]) {
    let start = end - 32;
    while (start < end - 1 && signature[start] === 0) start += 1;
    // A number whose highest bit is set takes a zero byte before it, so that it is not negative.
    const sign = (signature[start] ?? 0) >= 0x80 ? 1 : 0;
    der[at] = 0x02;
    der[at + 1] = sign + end - start;
    der[at + 2] = 0;
    at += 2 + sign;
    for (; start < end; start += 1, at += 1) der[at] = signature[start] ?? 0;
  }
  der[0] = 0x30;
  der[1] = at - 2;
  return der.subarray(0, at);
}
