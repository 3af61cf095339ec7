import { createHmac, createPrivateKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { concatBytes, equalBytes, toBase64Url, utf8 } from "../base/bytes.ts";
import { PpmlError } from "../base/error.ts";
import type { Secret } from "../base/secret.ts";
import { type SigningKey, signingKeyOf } from "../format/jwk.ts";
import { encodeFields } from "./fields.ts";
import { readPrivateFile, writePrivateFile } from "./private-file.ts";
import type { RootKey } from "./root-key.ts";
import { encodeSecretText } from "./secret-text.ts";

/** Whose signing key it is: the data owner's, or the service's (the broker's). */
export type SigningKeyPurpose = "owner" | "service";

type SigningKeyPlace = {
  readonly path: string;
  /** The vault's root key (`vault.root`), or one from `loadRootKeyFile`. */
  readonly root: RootKey;
  readonly purpose: SigningKeyPurpose;
};

const FILE_LINE = /^ppml-signing-key v1 (owner|service) ([A-Za-z0-9_-]{43})\n/;

/**
 * Makes a P-256 signing key in a new file of mode 0600, never over another, and gives the key.
 * The file is a line with a MAC, then PKCS#8 PEM encrypted under a passphrase of the root key.
 * @throws key.vault_io where the path exists or cannot be written
 * @see docs/vault.md section "Signing keys"
 */
export async function createSigningKeyFile(options: SigningKeyPlace): Promise<SigningKey> {
  const { path, root, purpose } = options;
  const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  const pem = utf8(encryptedPem(privateKey, options));
  const line = utf8(
    `ppml-signing-key v1 ${purpose} ${toBase64Url(macOf(root, { purpose, pem }))}\n`,
  );
  await writePrivateFile({ path, bytes: concatBytes(line, pem) });
  return signingKeyOf(privateKey);
}

/**
 * Loads a signing key of the purpose given; a file that group or others may read is refused.
 * @throws key.vault_missing key.vault_io key.vault_invalid key.vault_locked
 */
export async function loadSigningKey(options: SigningKeyPlace): Promise<SigningKey> {
  const { path, root, purpose } = options;
  const bytes = await readPrivateFile({ path, maxBytes: 4096 });
  const match = FILE_LINE.exec(asBuffer(bytes).toString("latin1"));
  if (match?.[1] === undefined || match[2] === undefined)
    throw refused(path, "expected the line `ppml-signing-key v1` and an encrypted PEM");
  if (match[1] !== purpose)
    throw refused(path, `expected the signing key of the ${purpose}, this is the ${match[1]}'s`);
  const pem = bytes.subarray(match[0].length);
  // Checked before decrypting: PKCS#8's PBES2 knows CBC only, whose plaintext can be changed from
  // outside, and one signature with a changed P-256 key gives parts of the true one away.
  if (!equalBytes(utf8(match[2]), utf8(toBase64Url(macOf(root, { purpose, pem })))))
    throw new PpmlError(
      "key.vault_locked",
      `${path} does not open: expected the root key that it was made with, and the file as it was made`,
      { detail: { path } },
    );
  using passphrase = signingKeyPassphrase({ root, purpose });
  try {
    const privateKey = passphrase.expose((raw) =>
      createPrivateKey({ key: asBuffer(pem), format: "pem", passphrase: asBuffer(raw) }),
    );
    return signingKeyOf(privateKey);
  } catch (cause) {
    throw refused(path, "expected an encrypted P-256 key in PKCS#8", cause);
  }
}

/** The passphrase of a signing key's PEM, 43 ASCII characters: for reading it with OpenSSL. */
export function signingKeyPassphrase(options: Omit<SigningKeyPlace, "path">): Secret {
  using raw = options.root.derive(derivation("passphrase", options.purpose));
  return encodeSecretText(raw);
}

function encryptedPem(privateKey: KeyObject, options: SigningKeyPlace): string {
  using passphrase = signingKeyPassphrase(options);
  return passphrase.expose((raw) =>
    privateKey
      .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: asBuffer(raw) })
      .toString(),
  );
}

function macOf(
  root: RootKey,
  file: { readonly purpose: SigningKeyPurpose; readonly pem: Uint8Array },
): Uint8Array {
  using key = root.derive(derivation("file", file.purpose));
  return key.expose((bytes) => {
    return new Uint8Array(createHmac("sha256", bytes).update(file.pem).digest());
  });
}

// The vault's salt is not in it: the root key alone, with no vault at hand, opens the file.
function derivation(use: string, purpose: SigningKeyPurpose) {
  return { salt: new Uint8Array(0), info: encodeFields("ppml signing key v1", use, purpose) };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function refused(path: string, what: string, cause?: unknown): PpmlError {
  const message = `${path} is not a signing key's file: ${what}`;
  return new PpmlError("key.vault_invalid", message, { detail: { path }, cause });
}
