import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  randomBytes,
} from "node:crypto";
import { promisify } from "node:util";
import { PpmlError } from "../../base/error.ts";
import { Secret } from "../../base/secret.ts";
import type { KekKind, Mode } from "../../format/kek.ts";
import { encodeFields } from "../fields.ts";
import { kekVersionOf } from "../public-key.ts";
import { LOCAL_KEY_BYTES } from "../wrap.ts";

const TAG_BYTES = 16;
const NONCE_BYTES = 12;

/** To which place an encrypted private key belongs: all of it is its AAD. */
export type PrivateKeyPlace = {
  readonly vaultId: string;
  readonly mode: Mode;
  readonly kekId: string;
  readonly kekVersion: string;
  readonly kind: KekKind;
  /** Of an exportable KEK: the policy of its release, as stored. */
  readonly releasePolicy: string | null;
};

/** A fresh key pair: the public half as SPKI, the private half as PKCS#8, both DER; disposing zeroes it. */
export type KeyPair = Disposable & {
  readonly spki: Uint8Array;
  readonly kekVersion: string;
  readonly pkcs8: Secret;
};

/** Makes an RSA key pair with exponent 65537 off this thread; 3072 bits take 0.1 to 1 s. */
export async function makeKeyPair(bits: number): Promise<KeyPair> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: bits,
    publicExponent: 65_537,
  });
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  const pkcs8 = Secret.take(privateKey.export({ type: "pkcs8", format: "der" }));
  return {
    spki,
    kekVersion: kekVersionOf(spki),
    pkcs8,
    [Symbol.dispose]: () => pkcs8[Symbol.dispose](),
  };
}

/**
 * Encrypts a private key with AES-256-GCM for its place: gives the nonce, and ciphertext and tag.
 * The nonce is 12 random bytes; a vault holds at most some 15,000 keys, far from 2^32.
 */
export function encryptPrivateKey(
  key: Secret,
  options: { readonly place: PrivateKeyPlace; readonly pkcs8: Secret },
): { readonly nonce: Uint8Array; readonly ciphertext: Uint8Array } {
  const nonce = Uint8Array.from(randomBytes(NONCE_BYTES));
  const cipher = key.expose((bytes) => createCipheriv("aes-256-gcm", bytes, nonce));
  cipher.setAAD(aadOf(options.place));
  const body = options.pkcs8.expose((bytes) => cipher.update(bytes));
  const ciphertext = Uint8Array.from(Buffer.concat([body, cipher.final(), cipher.getAuthTag()]));
  return { nonce, ciphertext };
}

/**
 * Decrypts a private key of its place, for one batch of unwraps.
 * @throws key.vault_invalid where it was changed or belongs elsewhere
 */
export function decryptPrivateKey(
  key: Secret,
  options: {
    readonly place: PrivateKeyPlace;
    readonly nonce: Uint8Array;
    readonly ciphertext: Uint8Array;
  },
): KeyObject {
  const { place, nonce, ciphertext } = options;
  let pkcs8: Buffer | undefined;
  try {
    const decipher = key.expose((bytes) =>
      createDecipheriv("aes-256-gcm", bytes, nonce, { authTagLength: TAG_BYTES }),
    );
    decipher.setAAD(aadOf(place));
    decipher.setAuthTag(ciphertext.subarray(-TAG_BYTES));
    pkcs8 = decipher.update(ciphertext.subarray(0, -TAG_BYTES));
    decipher.final();
    return createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  } catch (cause) {
    throw new PpmlError(
      "key.vault_invalid",
      `the private key of version ${place.kekVersion} of ${place.kekId} was changed, or belongs to another KEK: restore the vault from a backup`,
      { cause },
    );
  } finally {
    pkcs8?.fill(0);
  }
}

/**
 * Unwraps one local key with a private key: RSA-OAEP, SHA-256, empty label.
 * Every failure is the same error, so that nobody learns in which step it lay.
 * @throws key.unwrap_failed
 * @see RFC 8017 section 7.1.2, note: "Care must be taken to ensure that an opponent cannot
 * distinguish the different error conditions in Step 3.g"
 */
export function unwrapWith(
  privateKey: KeyObject,
  request: { readonly kekId: string; readonly kekVersion: string; readonly wrapped: Uint8Array },
): Secret {
  let bytes: Buffer | undefined;
  try {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const modulusBytes = (privateKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
    // RFC 8017 7.1.2 step 1.b: any other length is a decryption error. OpenSSL adds zeros in front.
    if (request.wrapped.byteLength === modulusBytes) {
      bytes = privateDecrypt({ key: privateKey, padding, oaepHash: "sha256" }, request.wrapped);
      if (bytes.byteLength === LOCAL_KEY_BYTES) return Secret.copy(bytes);
    }
  } catch {
    // The cause would name the step.
  } finally {
    bytes?.fill(0);
  }
  const { kekId, kekVersion } = request;
  throw new PpmlError(
    "key.unwrap_failed",
    `expected a local key wrapped under version ${kekVersion} of ${kekId}: this one was wrapped under another key, or changed`,
    { detail: { kekId, kekVersion } },
  );
}

function aadOf(place: PrivateKeyPlace): Uint8Array {
  const { vaultId, mode, kekId, kekVersion, kind, releasePolicy } = place;
  const fields = [vaultId, mode, kekId, kekVersion, kind, releasePolicy] as const;
  return encodeFields("ppml vault private key v2", ...fields);
}
