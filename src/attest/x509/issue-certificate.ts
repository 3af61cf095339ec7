import { constants, createPublicKey, randomBytes, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { DER } from "../der/read.ts";
import { ECDSA_P256_SHA256, ECDSA_P384_SHA384 } from "./chain.ts";
import { isP256 } from "./p256.ts";
import { RSA_4096_PSS_SHA384 } from "./rsa.ts";
import {
  der,
  derBitString,
  derBoolean,
  derInteger,
  derOid,
  derSequence,
  derText,
  derTime,
} from "../der/write.ts";

/** A certificate to be made; times in milliseconds since 1970, written as whole seconds. */
export type CertificateRequest = {
  readonly subject: string;
  readonly subjectKey: KeyObject;
  readonly issuer: string;
  readonly issuerKey: KeyObject;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Encoded extensions. @see extension */
  readonly extensions: readonly Uint8Array[];
  /** Big-endian; 16 random bytes where it is not given. */
  readonly serial?: Uint8Array;
};

/**
 * Makes an X.509 v3 certificate as the issuer's key signs: ECDSA with SHA-256 on P-256 and with SHA-384
 * on P-384, RSASSA-PSS with SHA-384 where it is RSA. Names are one common name of at most 64 characters.
 * @see RFC 5280 section 4.1
 */
export function issueCertificate(request: CertificateRequest): Uint8Array {
  const spki = createPublicKey(request.subjectKey).export({ format: "der", type: "spki" });
  const serial = request.serial ?? randomBytes(16);
  const algorithm = algorithmOf(request.issuerKey);
  const tbs = derSequence(
    der(0xa0, derInteger(Uint8Array.of(2))),
    derInteger(serial),
    algorithm,
    encodeName(request.issuer),
    derSequence(derTime(request.notBeforeMs), derTime(request.notAfterMs)),
    encodeName(request.subject),
    spki,
    der(0xa3, derSequence(...request.extensions)),
  );
  return signed(tbs, request.issuerKey);
}

/** A certificate's or CRL's outer form: what is signed, the algorithm, the signature. */
export function signed(tbs: Uint8Array, key: KeyObject): Uint8Array {
  const options =
    key.asymmetricKeyType === "rsa"
      ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }
      : { key, dsaEncoding: "der" as const };
  const hash = isP256(key) ? "sha256" : "sha384";
  return derSequence(tbs, algorithmOf(key), derBitString(sign(hash, tbs, options)));
}

/** AlgorithmIdentifier of a signature by this key. */
export function algorithmOf(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyType === "rsa") return RSA_4096_PSS_SHA384.identifier;
  return isP256(key) ? ECDSA_P256_SHA256.identifier : ECDSA_P384_SHA384.identifier;
}

/** Extensions of a certificate authority with `pathLength` authorities allowed below it. */
export function authorityExtensions(pathLength: number): Uint8Array[] {
  return [
    extension("2.5.29.19", {
      critical: true,
      value: derSequence(derBoolean(true), derInteger(Uint8Array.of(pathLength))),
    }),
    // keyCertSign and cRLSign: bits 5 and 6.
    extension("2.5.29.15", { critical: true, value: derBitString(Uint8Array.of(0x06), 1) }),
  ];
}

/** One encoded extension. */
export function extension(
  oid: string,
  options: { readonly critical: boolean; readonly value: Uint8Array },
): Uint8Array {
  return derSequence(
    derOid(oid),
    // DER leaves out a value that is the default.
    options.critical ? derBoolean(true) : new Uint8Array(),
    der(DER.octetString, options.value),
  );
}

/** A name of one common name. */
export function encodeName(commonName: string): Uint8Array {
  return derSequence(
    der(DER.set, derSequence(derOid("2.5.4.3"), derText(DER.utf8String, commonName))),
  );
}
