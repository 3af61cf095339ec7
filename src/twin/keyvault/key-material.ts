import { createPrivateKey, createPublicKey, generateKeyPair, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { fromBase64Url } from "../../base/index.ts";
import type { KeyType, KeyVersion } from "./documents.ts";
import { badParameter } from "./refusal.ts";

const RSA_BITS = [2048, 3072, 4096];
const OCT_BITS = [128, 192, 256];
const CURVES = ["P-256", "P-384", "P-521"];
const makePair = promisify(generateKeyPair);

/** What a key is made of, as its request says it; null where the request does not say. */
export type KeyShape = {
  readonly kty: KeyType;
  readonly bits: number | null;
  readonly curve: string | null;
};

/** Makes a key's material: a private or secret JWK. @throws KeyVaultRefusal */
export async function makeMaterial({
  kty,
  bits,
  curve,
}: KeyShape): Promise<Record<string, string>> {
  if (isRsa(kty)) {
    const modulusLength = bits ?? 2048;
    if (!RSA_BITS.includes(modulusLength))
      throw badParameter(`Property key_size has invalid value: expected ${RSA_BITS.join(", ")}`);
    return jwkOf((await makePair("rsa", { modulusLength })).privateKey);
  }
  if (isEc(kty)) {
    const namedCurve = curve ?? "P-256";
    if (!CURVES.includes(namedCurve))
      throw badParameter(`Property crv has invalid value: expected ${CURVES.join(", ")}`);
    return jwkOf((await makePair("ec", { namedCurve })).privateKey);
  }
  const size = bits ?? 256;
  if (!OCT_BITS.includes(size))
    throw badParameter(`Property key_size has invalid value: expected ${OCT_BITS.join(", ")}`);
  return { kty: "oct", k: randomBytes(size / 8).toString("base64url") };
}

/** Checks imported material and gives it in the form that is kept. @throws KeyVaultRefusal */
export function importMaterial(jwk: Readonly<Record<string, string>>): Record<string, string> {
  if (jwk["kty"]?.startsWith("oct") === true) {
    const bits = 8 * (jwk["k"] === undefined ? 0 : fromBase64Url(jwk["k"]).byteLength);
    if (!OCT_BITS.includes(bits)) throw badParameter("Property key.k has invalid value");
    return { kty: "oct", k: jwk["k"] ?? "" };
  }
  try {
    const kty = jwk["kty"]?.replace("-HSM", "");
    return jwkOf(
      createPrivateKey({ key: { ...jwk, ...(kty === undefined ? {} : { kty }) }, format: "jwk" }),
    );
  } catch {
    throw badParameter("Property key has invalid value: it is not a private key");
  }
}

/** The members of an answer's `key` that tell the public half. */
export function publicMembers(version: KeyVersion): Readonly<Record<string, string>> {
  const { n, e, crv, x, y } = version.material;
  const shown = isRsa(version.kty) ? { n, e } : isEc(version.kty) ? { crv, x, y } : {};
  return Object.fromEntries(
    Object.entries(shown).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** Length of a key in bits; of an EC key 0. */
export function bitsOf(version: KeyVersion): number {
  const { n = "", k = "" } = version.material;
  const text = isRsa(version.kty) ? n : k;
  return fromBase64Url(text).byteLength * 8;
}

/** The private key of an RSA or EC version. */
export function privateKeyOf({ material }: Pick<KeyVersion, "material">): KeyObject {
  return createPrivateKey({ key: { ...material }, format: "jwk" });
}

/** The public key of an RSA or EC version. */
export function publicKeyOf(version: KeyVersion): KeyObject {
  return createPublicKey(privateKeyOf(version));
}

/** The bytes of an oct version. */
export function secretOf({ material }: KeyVersion): Uint8Array {
  return fromBase64Url(material["k"] ?? "");
}

/** What a released key's `key_hsm` wraps: PKCS#8 in DER, or the bytes themselves. */
export function releasableBytes(version: KeyVersion): Uint8Array {
  if (version.kty.startsWith("oct")) return secretOf(version);
  return new Uint8Array(privateKeyOf(version).export({ format: "der", type: "pkcs8" }));
}

/** Whether a key is RSA. */
export function isRsa(kty: KeyType): boolean {
  return kty.startsWith("RSA");
}

function isEc(kty: KeyType): boolean {
  return kty.startsWith("EC");
}

function jwkOf(key: KeyObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(key.export({ format: "jwk" })).map(([name, value]) => [name, String(value)]),
  );
}
