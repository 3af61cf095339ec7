import { createCipheriv, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { concatBytes, Secret } from "../../base/index.ts";
import { DER } from "../../attest/der/read.ts";
import { der, derInteger, derOid, derSequence } from "../../attest/der/write.ts";

const SALT_BYTES = 16;
const IV_BYTES = 16;
const KEY_BYTES = 32;

/** What was encrypted under a password. */
export type PasswordEncrypted = {
  /** AlgorithmIdentifier of PBES2, in DER. */
  readonly algorithm: Uint8Array;
  readonly ciphertext: Uint8Array;
};

/**
 * Encrypts under a password of ASCII: PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC, a random salt
 * and IV for each call. CBC does not authenticate: PKCS#12's MAC does, over all of it.
 * @param options.iterations of PBKDF2, 1,000 or more
 * @see RFC 8018 sections 6.2.1 and A.4; RFC 8018 appendix B.2.5 (AES-CBC)
 */
export async function encryptPbes2(
  plaintext: Secret,
  options: { readonly password: Secret; readonly iterations: number },
): Promise<PasswordEncrypted> {
  const salt = randomBytes(SALT_BYTES);
  const iv = randomBytes(IV_BYTES);
  using key = await deriveKey({ ...options, salt });
  const ciphertext = key.expose((keyBytes) => {
    const cipher = createCipheriv("aes-256-cbc", keyBytes, iv);
    return plaintext.expose((bytes) => concatBytes(cipher.update(bytes), cipher.final()));
  });
  return { algorithm: algorithmOf({ salt, iv, iterations: options.iterations }), ciphertext };
}

async function deriveKey(options: {
  readonly password: Secret;
  readonly salt: Uint8Array;
  readonly iterations: number;
}): Promise<Secret> {
  const { password, salt, iterations } = options;
  // A copy: the derivation runs in another thread, after `expose` has returned.
  using copy = password.expose((bytes) => Secret.copy(bytes));
  const derive = promisify(pbkdf2);
  return Secret.take(
    await copy.expose((bytes) => derive(bytes, salt, iterations, KEY_BYTES, "sha256")),
  );
}

function algorithmOf(parameters: {
  readonly salt: Uint8Array;
  readonly iv: Uint8Array;
  readonly iterations: number;
}): Uint8Array {
  const { salt, iv, iterations } = parameters;
  const hmacWithSha256 = derSequence(derOid("1.2.840.113549.2.9"), der(DER.null));
  const pbkdf2Parameters = derSequence(
    der(DER.octetString, salt),
    derCount(iterations),
    hmacWithSha256,
  );
  return derSequence(
    derOid("1.2.840.113549.1.5.13"),
    derSequence(
      derSequence(derOid("1.2.840.113549.1.5.12"), pbkdf2Parameters),
      derSequence(derOid("2.16.840.1.101.3.4.1.42"), der(DER.octetString, iv)),
    ),
  );
}

/** An INTEGER of 0 to 2^32 - 1. */
export function derCount(count: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, count);
  return derInteger(bytes);
}
