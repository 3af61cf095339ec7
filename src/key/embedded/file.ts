import { randomBytes } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { equalBytes, fromUtf8, toHex } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import type { Secret } from "../../base/secret.ts";
import type { Mode } from "../../format/kek.ts";
import { createSchema } from "../checked-schema.ts";
import { encodeFields } from "../fields.ts";
import {
  errnoOf,
  PRIVATE_READ,
  publishFile,
  refuseLink,
  requirePrivateMode,
  temporaryPath,
} from "../private-file.ts";
import {
  checkNewPassphrase,
  deriveRootKey,
  loadRootKeyFile,
  makeScryptParameters,
  type RootKey,
  type ScryptParameters,
  type VaultRoot,
} from "../root-key.ts";
import { decodeBackup, peekBackup } from "./backup.ts";
import { inTransaction, invalid, MAX_FILE_BYTES, openDatabase, SCHEMA } from "./database.ts";
import {
  type HeaderRow,
  insertHeader,
  loadState,
  readHeader,
  replaceState,
  type VaultFile,
} from "./records.ts";

/** An open vault file with the keys that its root key gives. */
export type UnlockedFile = VaultFile & {
  readonly root: RootKey;
  readonly encryptionKey: Secret;
  readonly header: HeaderRow;
};

/**
 * Makes a new vault file of mode 0600, whole or not at all.
 * @throws key.vault_exists key.vault_io key.vault_locked key.not_permitted
 */
export async function createVaultFile(options: {
  readonly path: string;
  readonly mode: Mode;
  readonly root: VaultRoot;
  /** RFC 3339, UTC. */
  readonly created: string;
}): Promise<void> {
  const { path, mode, created } = options;
  if (options.root.kind === "passphrase") checkNewPassphrase(options.root.passphrase);
  await refuseExisting(path);
  const scrypt = options.root.kind === "passphrase" ? makeScryptParameters() : null;
  using root = await openRoot(options.root, scrypt);
  const vaultId = toHex(randomBytes(8));
  const salt = Uint8Array.from(randomBytes(32));
  using check = rootCheckOf(root, { vaultId, salt });
  const header = {
    id: 1 as const,
    vault_id: vaultId,
    mode,
    created,
    root_kind: options.root.kind,
    scrypt_n: scrypt?.n ?? null,
    scrypt_r: scrypt?.r ?? null,
    scrypt_p: scrypt?.p ?? null,
    scrypt_salt: scrypt?.salt ?? null,
    salt,
    root_check: check.expose((bytes) => Uint8Array.from(bytes)),
    revision: 0,
  };
  using macKey = macKeyOf(root, { vaultId, salt });
  await publishVault({ path, macKey }, (file) => insertHeader(file, header));
}

/**
 * Makes a vault's file anew from a backup, whole or not at all, never over another.
 * @throws key.backup key.vault_exists key.vault_io key.vault_locked
 */
export async function restoreVaultFile(options: {
  readonly path: string;
  readonly root: VaultRoot;
  readonly bytes: Uint8Array;
  /** That of the project: a backup of the other mode is refused. */
  readonly mode: Mode;
}): Promise<void> {
  const { path, bytes, mode } = options;
  await refuseExisting(path);
  const header = peekBackup(bytes);
  if (header.mode !== mode)
    throw new PpmlError(
      "key.vault_mode",
      `the backup is of a vault for ${header.mode}, and ppml.yaml says mode ${mode}`,
    );
  const scrypt = scryptOf(header, path);
  if (header.root_kind !== options.root.kind) throw locked(path, wantedRoot(header));
  using root = await openRoot(options.root, scrypt);
  const identity = { vaultId: header.vault_id, salt: header.salt };
  using check = rootCheckOf(root, identity);
  if (!check.expose((digits) => equalBytes(digits, header.root_check)))
    throw locked(path, wantedRoot(header));
  const backup = decodeBackup(bytes, { root, identity: null });
  using macKey = macKeyOf(root, identity);
  await publishVault({ path, macKey }, (file) => {
    replaceState(file, { backup, revision: 0 });
    loadState(file);
  });
}

/** Makes a vault's file under a temporary name, filled by `fill` in one transaction, and names it. */
async function publishVault(
  { path, macKey }: Pick<VaultFile, "path" | "macKey">,
  fill: (file: VaultFile) => void,
): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    // SQLite would make the file with the umask's rights; an empty file is an empty database to it.
    await (await open(temporary, "wx", 0o600)).close();
    const db = openDatabase(temporary);
    try {
      db.exec("BEGIN IMMEDIATE");
      createSchema(db, SCHEMA);
      fill({ db, path: temporary, macKey });
      db.exec("COMMIT");
    } finally {
      db.close();
    }
    await publishFile(temporary, path);
  } catch (cause) {
    throw creationError(path, cause);
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * Opens a vault file with its root key and verifies all of its content.
 * @throws key.vault_missing key.vault_invalid key.vault_locked key.vault_io
 */
export async function unlockVaultFile(options: {
  readonly path: string;
  readonly root: VaultRoot;
}): Promise<UnlockedFile> {
  const { path } = options;
  await checkFile(path);
  const db = openDatabase(path);
  const owned: Disposable[] = [];
  try {
    const read = { db, path, write: false };
    const header = inTransaction(read, () => readHeader(db, path));
    const scrypt = scryptOf(header, path);
    if ((scrypt === null ? "file" : "passphrase") !== options.root.kind)
      throw locked(path, wantedRoot(header));
    const root = await openRoot(options.root, scrypt);
    owned.push(root);
    const identity = { vaultId: header.vault_id, salt: header.salt };
    using check = rootCheckOf(root, identity);
    if (!check.expose((bytes) => equalBytes(bytes, header.root_check)))
      throw locked(path, wantedRoot(header));
    const macKey = macKeyOf(root, identity);
    owned.push(macKey);
    const encryptionKey = root.derive(derivation("private keys", identity));
    owned.push(encryptionKey);
    const state = inTransaction(read, () => loadState({ db, path, macKey }));
    return { db, path, macKey, encryptionKey, root, header: state.header };
  } catch (error) {
    for (const secret of owned) secret[Symbol.dispose]();
    db.close();
    throw error;
  }
}

type Identity = { readonly vaultId: string; readonly salt: Uint8Array };

function derivation(purpose: string, { vaultId, salt }: Identity) {
  return { salt, info: encodeFields("ppml vault v1", purpose, vaultId) };
}

// Without the mode and the rest of the row: a right root key shows as right even where the row was
// changed, and the MAC over the row then tells that apart from a wrong passphrase.
function rootCheckOf(root: RootKey, identity: Identity): Secret {
  return root.derive(derivation("root check", identity));
}

function macKeyOf(root: RootKey, identity: Identity): Secret {
  return root.derive(derivation("rows", identity));
}

async function openRoot(root: VaultRoot, scrypt: ScryptParameters | null): Promise<RootKey> {
  if (root.kind === "file") return loadRootKeyFile({ path: root.path });
  if (scrypt === null) throw new PpmlError("base.internal", "a passphrase without a salt");
  return deriveRootKey(root.passphrase, scrypt);
}

function scryptOf(header: Omit<HeaderRow, "state_mac">, path: string): ScryptParameters | null {
  const { scrypt_n: n, scrypt_r: r, scrypt_p: p, scrypt_salt: salt } = header;
  if (header.root_kind === "passphrase" && n !== null && r !== null && p !== null && salt !== null)
    return { n, r, p, salt };
  if (header.root_kind === "file" && n === null && r === null && p === null && salt === null)
    return null;
  throw invalid(path, "its scrypt parameters do not fit its kind of root key");
}

function wantedRoot(header: Pick<HeaderRow, "root_kind">): string {
  return header.root_kind === "file"
    ? "expected the root-key file that it was made with"
    : "expected the passphrase that it was made with";
}

function locked(path: string, expected: string): PpmlError {
  return new PpmlError("key.vault_locked", `${path} does not open: ${expected}`, {
    detail: { path },
  });
}

async function refuseExisting(path: string): Promise<void> {
  try {
    await (await open(path, "r")).close();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw creationError(path, error);
  }
  throw creationError(path, Object.assign(new Error("exists"), { code: "EEXIST" }));
}

function creationError(path: string, cause: unknown): unknown {
  if (cause instanceof PpmlError || !(cause instanceof Error)) return cause;
  if (errnoOf(cause) === "EEXIST")
    return new PpmlError("key.vault_exists", `${path} exists: choose another path`, { cause });
  const message = `${path}: the vault cannot be made here (${cause.message})`;
  return new PpmlError("key.vault_io", message, { detail: { path }, cause });
}

// Before SQLite sees it: SQLite would make a missing file, and read one of any size.
async function checkFile(path: string): Promise<void> {
  try {
    const file = await open(path, PRIVATE_READ);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw invalid(path, "it is not a regular file");
      requirePrivateMode(path, stat.mode);
      if (stat.size > MAX_FILE_BYTES)
        throw invalid(path, `it has ${stat.size} bytes and may have ${MAX_FILE_BYTES}`);
      const magic = new Uint8Array(16);
      await file.read(magic, 0, 16, 0);
      if (fromUtf8(magic.map((byte) => byte & 0x7f)) !== "SQLite format 3\0")
        throw invalid(path, "it is not an SQLite file");
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    if (errnoOf(cause) === "ENOENT")
      throw new PpmlError("key.vault_missing", `there is no vault at ${path}`, {
        cause,
        detail: { path, remedy: "restore it from a backup, or correct its path in ppml.yaml" },
      });
    refuseLink(path, cause);
    throw new PpmlError("key.vault_io", `${path} cannot be read`, { cause });
  }
}
