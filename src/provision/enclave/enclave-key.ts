import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { fromBase64Url, PpmlError, Secret, sha256 } from "../../base/index.ts";
import { encodeSecretPem } from "../secret-pem.ts";

const MODULUS_BITS = 3072;
const MODULUS_BYTES = MODULUS_BITS / 8;

/** A key that signs enclaves. */
export type EnclaveKey = Disposable & {
  /** PKCS#1 in PEM ("RSA PRIVATE KEY"), as Gramine's signer reads it. */
  readonly pem: Secret;
  /** MRSIGNER of every enclave that it signs: 32 bytes. */
  readonly mrSigner: Uint8Array;
};

/**
 * Makes an SGX signing key: RSA-3072 with the public exponent 3, which SIGSTRUCT demands.
 * @see Intel SDM volume 3D, section 37.14 (SIGSTRUCT: "EXPONENT: RSA exponent = 3"); RFC 8017 appendix A.1.2
 */
export async function makeEnclaveKey(): Promise<EnclaveKey> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: MODULUS_BITS,
    publicExponent: 3,
  });
  using der = Secret.take(privateKey.export({ format: "der", type: "pkcs1" }));
  const pem = encodeSecretPem("RSA PRIVATE KEY", der);
  return { pem, mrSigner: mrSignerOf(publicKey), [Symbol.dispose]: () => pem[Symbol.dispose]() };
}

/**
 * MRSIGNER of what a key signs: SHA-256 over the modulus as SIGSTRUCT holds it, 384 bytes, the least
 * significant first.
 * @throws provision.input where the key is not RSA-3072
 * @see Intel SDM volume 3D, section 38.1.1 (EINIT: "MRSIGNER := SHA256(SIGSTRUCT.MODULUS)")
 */
export function mrSignerOf(publicKey: KeyObject): Uint8Array {
  const { n = "" } = publicKey.export({ format: "jwk" });
  const modulus = fromBase64Url(n);
  if (modulus.byteLength !== MODULUS_BYTES)
    throw new PpmlError("provision.input", "expected an RSA key of 3072 bits");
  return sha256(modulus.toReversed());
}
