import { createHash, createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { PpmlError } from "../base/index.ts";
import { encodeJcs } from "./jcs.ts";
import { ecPublicJwkSchema, parseWith } from "./schema.ts";
import type { EcPublicJwk } from "./schema.ts";

/** A P-256 key that signs: the owner's, the broker's or a TEE's. */
export type SigningKey = {
  readonly privateKey: KeyObject;
  readonly publicJwk: EcPublicJwk;
  /** RFC 7638 thumbprint of `publicJwk`. */
  readonly keyId: string;
};

/**
 * RFC 7638 thumbprint, base64url SHA-256, of a public EC or RSA key.
 * @see RFC 7638 section 3.2: only the required members count, in lexicographic order
 */
export function jwkThumbprint(jwk: EcThumbprintMembers | RsaThumbprintMembers): string {
  const members =
    jwk.kty === "EC"
      ? { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }
      : { e: jwk.e, kty: jwk.kty, n: jwk.n };
  return createHash("sha256").update(encodeJcs(members)).digest("base64url");
}

type EcThumbprintMembers = {
  readonly kty: "EC";
  readonly crv: string;
  readonly x: string;
  readonly y: string;
};

type RsaThumbprintMembers = { readonly kty: "RSA"; readonly n: string; readonly e: string };

/** Makes the SigningKey of a private P-256 key. @throws format.invalid for any other key */
export function signingKeyOf(privateKey: KeyObject): SigningKey {
  const publicJwk = ecPublicJwkOf(createPublicKey(privateKey));
  return { privateKey, publicJwk, keyId: jwkThumbprint(publicJwk) };
}

/** The JWK of a public (or private) P-256 KeyObject. @throws format.invalid for any other key */
export function ecPublicJwkOf(key: KeyObject): EcPublicJwk {
  const { kty, crv, x, y } = key.export({ format: "jwk" });
  return parseWith(ecPublicJwkSchema, { kty, crv, x, y }, { what: "P-256 key" });
}

/** KeyObject of a public P-256 JWK. @throws format.invalid where the point is not on the curve */
export function ecPublicKeyOf(jwk: EcPublicJwk): KeyObject {
  try {
    return createPublicKey({ key: { ...jwk }, format: "jwk" });
  } catch (cause) {
    throw new PpmlError("format.invalid", "the JWK is not a point on P-256", { cause });
  }
}
