import { createPublicKey, type KeyObject } from "node:crypto";
import { sha256, toHex } from "../base/bytes.ts";
import { PpmlError } from "../base/error.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import { type KekPublicKey, kekPublicKeySchema } from "../format/kek.ts";

/** Smallest RSA modulus that is wrapped for, in bits. */
export const MIN_KEK_BITS = 3072;

/** Largest RSA modulus that is wrapped for, in bits; a larger one only costs time. */
export const MAX_KEK_BITS = 8192;

/** An exported public key's file is never longer: 8192 bits make about 2 KiB in either form. */
const MAX_FILE_CHARS = 16_384;

const PEM_FIELDS = ["kekId", "kekVersion", "kind", "mode"] as const;
const BEGIN_PEM = "-----BEGIN PUBLIC KEY-----";

/**
 * The id of a KEK version: the first 32 hex digits of the SHA-256 of the SPKI (DER) of its public key.
 * @see docs/format.md section "KEKs"
 */
export function kekVersionOf(spki: Uint8Array): string {
  return toHex(sha256(spki)).slice(0, 32);
}

/**
 * RFC 7638 thumbprint of an RSA public key: base64url of a SHA-256.
 * @see RFC 7638 section 3: the required members in lexicographic order, without white space
 */
export function kekThumbprint(jwk: KekPublicKey["jwk"]): string {
  return jwkThumbprint(jwk);
}

/**
 * Checks a KEK's public half as it came from outside and gives the key to wrap with.
 * @throws key.public_key where the form, size, exponent or version is not as it must be
 */
export function verifyKekPublicKey(kek: KekPublicKey): KeyObject {
  const parsed = kekPublicKeySchema.safeParse(kek);
  if (!parsed.success)
    throw refused("expected {kekId, kekVersion, kind, mode, jwk}", parsed.error.message);
  const { jwk, kekVersion } = parsed.data;
  const key = importJwk(jwk);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_KEK_BITS || bits > MAX_KEK_BITS)
    throw refused(`expected RSA of ${MIN_KEK_BITS} to ${MAX_KEK_BITS} bits`, `${bits} bits`);
  // One key has one form: without this, two texts of one modulus would be told apart as two keys.
  if (key.export({ format: "jwk" }).n !== jwk.n)
    throw refused("expected the modulus without leading zeros", "another form");
  const version = kekVersionOf(new Uint8Array(key.export({ type: "spki", format: "der" })));
  if (version !== kekVersion)
    throw refused(`expected version ${version}, which this public key has`, kekVersion);
  return key;
}

/** Builds the public half of a KEK version from its SPKI (DER). @throws key.public_key */
export function kekPublicKeyOf(
  options: Pick<KekPublicKey, "kekId" | "kind" | "mode"> & { readonly spki: Uint8Array },
): KekPublicKey {
  const { spki, kekId, kind, mode } = options;
  const kekVersion = kekVersionOf(spki);
  const kek: unknown = { kekId, kekVersion, kind, mode, jwk: jwkOfSpki(spki) };
  const parsed = kekPublicKeySchema.safeParse(kek);
  if (!parsed.success) throw refused("expected RSA with exponent 65537", parsed.error.message);
  return parsed.data;
}

/**
 * Writes a KEK's public half as a text file for offline sealing.
 * `pem` is an SPKI PEM with the KEK's id, version, kind and mode as lines before it (OpenSSL skips
 * them); `jwk` is a JWK with the same in a member `ppml`.
 * @throws key.public_key
 */
export function exportPublicKey(kek: KekPublicKey, form: "pem" | "jwk"): string {
  const key = verifyKekPublicKey(kek);
  const { kekId, kekVersion, kind, mode, jwk } = kek;
  if (form === "jwk") {
    const ppml = { kekId, kekVersion, kind, mode };
    const members = { ...jwk, alg: "RSA-OAEP-256", use: "enc", kid: kekThumbprint(jwk), ppml };
    return `${JSON.stringify(members, null, 2)}\n`;
  }
  const lines = PEM_FIELDS.map((field) => `${field}: ${kek[field]}\n`);
  return `${lines.join("")}${key.export({ type: "spki", format: "pem" }).toString()}`;
}

/**
 * Parses what `exportPublicKey` wrote, in either form, and checks it.
 * The file proves nothing of its origin: compare version or thumbprint with the vault's owner.
 * @throws key.public_key
 */
export function parseKekPublicKey(text: string): KekPublicKey {
  if (text.length > MAX_FILE_CHARS)
    throw refused(`expected at most ${MAX_FILE_CHARS} characters`, `${text.length}`);
  const kek = text.trimStart().startsWith("{") ? parseJwkFile(text) : parsePemFile(text);
  const parsed = kekPublicKeySchema.safeParse(kek);
  if (!parsed.success) throw refused("expected a file of `ppml key export`", parsed.error.message);
  verifyKekPublicKey(parsed.data);
  return parsed.data;
}

function parsePemFile(text: string): unknown {
  const begin = text.indexOf(BEGIN_PEM);
  if (begin < 0) throw refused(`expected a JWK or ${BEGIN_PEM}`, "neither");
  const fields: Record<string, string> = {};
  for (const line of text.slice(0, begin).split(/\r?\n/)) {
    if (line === "") continue;
    const name = PEM_FIELDS.find((field) => line.startsWith(`${field}: `));
    if (name === undefined || name in fields)
      throw refused(`expected one line each of ${PEM_FIELDS.join(", ")} before the PEM`, line);
    fields[name] = line.slice(name.length + 2);
  }
  let spki: Uint8Array;
  try {
    spki = new Uint8Array(
      createPublicKey(text.slice(begin)).export({ type: "spki", format: "der" }),
    );
  } catch (cause) {
    throw new PpmlError("key.public_key", "expected the PEM of an RSA public key", { cause });
  }
  return { ...fields, jwk: jwkOfSpki(spki) };
}

function parseJwkFile(text: string): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new PpmlError("key.public_key", "expected a JWK: the text is not JSON", { cause });
  }
  if (typeof json !== "object" || json === null || !("ppml" in json))
    throw refused("expected a JWK with a member `ppml`", "none");
  const { ppml, alg, use, kid: _, ...jwk } = json as Record<string, unknown>;
  if (alg !== "RSA-OAEP-256" || use !== "enc")
    throw refused('expected "alg": "RSA-OAEP-256" and "use": "enc"', "others");
  if (typeof ppml !== "object" || ppml === null)
    throw refused("expected an object as member `ppml`", typeof ppml);
  return { ...ppml, jwk };
}

function importJwk(jwk: KekPublicKey["jwk"]): KeyObject {
  try {
    return createPublicKey({ key: { ...jwk }, format: "jwk" });
  } catch (cause) {
    throw new PpmlError("key.public_key", "expected an RSA public key as a JWK", { cause });
  }
}

function jwkOfSpki(spki: Uint8Array): unknown {
  const key = Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength);
  try {
    return createPublicKey({ key, format: "der", type: "spki" }).export({ format: "jwk" });
  } catch (cause) {
    throw new PpmlError("key.public_key", "expected the SPKI of an RSA public key", { cause });
  }
}

function refused(expected: string, came: string): PpmlError {
  return new PpmlError(
    "key.public_key",
    `the public key is refused: ${expected}; came: ${came.slice(0, 300)}. Export it again with \`ppml key export\``,
  );
}
