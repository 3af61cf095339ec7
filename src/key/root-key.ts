import { hkdfSync, randomBytes, scryptSync } from "node:crypto";
import { concatBytes, equalBytes, utf8 } from "../base/bytes.ts";
import { PpmlError } from "../base/error.ts";
import { Secret } from "../base/secret.ts";
import { readPrivateFile, writePrivateFile } from "./private-file.ts";
import { encodeSecretText, parseSecretText } from "./secret-text.ts";

const ROOT_KEY_BYTES = 32;
const FILE_HEADER = utf8("ppml-root-key v1\n");
const NEWLINE = utf8("\n");
const MIN_PASSPHRASE_BYTES = 8;

/** How a vault's root key is had: from a passphrase (UTF-8 bytes), or from a root-key file. */
export type VaultRoot =
  | { readonly kind: "passphrase"; readonly passphrase: Secret }
  | { readonly kind: "file"; readonly path: string };

/** Cost and salt of scrypt, as a vault stores them. @see RFC 7914 section 2 */
export type ScryptParameters = {
  readonly n: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
};

/** A vault's root key: it only ever leaves as keys derived from it, each for one named purpose. */
export class RootKey implements Disposable {
  readonly #bytes: Secret;

  private constructor(bytes: Secret) {
    this.#bytes = bytes;
  }

  /** Takes 32 secret bytes over. */
  static take(bytes: Secret): RootKey {
    if (bytes.byteLength !== ROOT_KEY_BYTES)
      throw new PpmlError("base.internal", `expected a root key of ${ROOT_KEY_BYTES} bytes`);
    return new RootKey(bytes);
  }

  /**
   * Derives 32 bytes with HKDF-SHA256 for the purpose that `info` names; the salt may be empty.
   * @see RFC 5869
   */
  derive(options: { readonly salt: Uint8Array; readonly info: Uint8Array }): Secret {
    const { salt, info } = options;
    return Secret.take(
      new Uint8Array(this.#bytes.expose((bytes) => hkdfSync("sha256", bytes, salt, info, 32))),
    );
  }

  [Symbol.dispose](): void {
    this.#bytes[Symbol.dispose]();
  }
}

/** Fresh scrypt parameters: N = 2^17, r = 8, p = 1 (128 MiB, about half a second), 32 bytes of salt. */
export function makeScryptParameters(): ScryptParameters {
  return { n: 2 ** 17, r: 8, p: 1, salt: Uint8Array.from(randomBytes(32)) };
}

/**
 * Refuses scrypt parameters of a file that would take more than 256 MiB or a few seconds, or that
 * are weaker than N = 2^15.
 * @throws key.vault_invalid
 */
export function checkScryptParameters(parameters: ScryptParameters): void {
  const { n, r, p, salt } = parameters;
  const powerOfTwo = Number.isSafeInteger(n) && n > 0 && Number.isInteger(Math.log2(n));
  if (powerOfTwo && n >= 2 ** 15 && n <= 2 ** 18 && r === 8 && p >= 1 && p <= 4)
    if (Number.isInteger(p) && salt.byteLength === 32) return;
  throw new PpmlError(
    "key.vault_invalid",
    `expected scrypt with N = 2^15 to 2^18, r = 8, p = 1 to 4 and 32 bytes of salt; came N = ${n}, r = ${r}, p = ${p}, ${salt.byteLength} bytes: the vault's file was changed`,
  );
}

/**
 * Derives the root key from a passphrase. Takes about half a second and 128 MiB, on this thread.
 * @throws key.vault_invalid where the parameters are out of bounds
 * @see RFC 7914
 */
export function deriveRootKey(passphrase: Secret, parameters: ScryptParameters): RootKey {
  checkScryptParameters(parameters);
  const { n: N, r, p, salt } = parameters;
  const maxmem = 128 * N * r + 128 * r * p + 1024 * 1024;
  return passphrase.expose((bytes) =>
    RootKey.take(
      Secret.take(new Uint8Array(scryptSync(bytes, salt, ROOT_KEY_BYTES, { N, r, p, maxmem }))),
    ),
  );
}

/** Refuses a passphrase of under 8 bytes for a new vault. @throws key.not_permitted */
export function checkNewPassphrase(passphrase: Secret): void {
  if (passphrase.byteLength < MIN_PASSPHRASE_BYTES)
    throw new PpmlError(
      "key.not_permitted",
      `expected a passphrase of at least ${MIN_PASSPHRASE_BYTES} bytes: choose a longer one`,
    );
}

/**
 * Makes a root-key file: a header line, then 32 random bytes as base64url; mode 0600, never over another.
 * @throws key.vault_io where the path exists or cannot be written
 */
export async function createRootKeyFile(options: { readonly path: string }): Promise<void> {
  using key = Secret.take(Uint8Array.from(randomBytes(ROOT_KEY_BYTES)));
  using text = encodeSecretText(key);
  const bytes = text.expose((digits) => concatBytes(FILE_HEADER, digits, NEWLINE));
  try {
    await writePrivateFile({ path: options.path, bytes });
  } finally {
    bytes.fill(0);
  }
}

/**
 * Loads a root-key file; one that group or others may read is refused.
 * @throws key.vault_missing key.vault_io key.vault_locked where it is not a root-key file
 */
export async function loadRootKeyFile(options: { readonly path: string }): Promise<RootKey> {
  const bytes = await readPrivateFile({ path: options.path, maxBytes: 256 });
  try {
    const digits = bytes.subarray(FILE_HEADER.byteLength, FILE_HEADER.byteLength + 43);
    const key = parseSecretText(digits);
    const framed = concatBytes(FILE_HEADER, digits, NEWLINE);
    const asWritten = equalBytes(bytes, framed);
    framed.fill(0);
    if (asWritten && key?.byteLength === ROOT_KEY_BYTES) return RootKey.take(key);
  } finally {
    bytes.fill(0);
  }
  throw new PpmlError(
    "key.vault_locked",
    `${options.path} is not a root-key file: expected the line "ppml-root-key v1" and 43 base64url digits`,
  );
}
