import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { z } from "zod";
import { concatBytes, equalBytes, fromBase64Url, toBase64Url, utf8 } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import type { Secret } from "../../base/secret.ts";
import { encodeJcs, parseCanonicalJson } from "../../format/jcs.ts";
import { encodeFields } from "../fields.ts";
import type { RootKey } from "../root-key.ts";
import {
  type HeaderRow,
  headerSchema,
  type KekRow,
  kekRowSchema,
  type VaultState,
  type VersionRow,
  versionRowSchema,
} from "./records.ts";

const MAGIC = utf8("ppml-vault-backup v1\n");
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MAX_HEAD_BYTES = 4096;

/** Longest backup file, in bytes: a vault has at most 64 MiB, and base64url adds a third. */
export const MAX_BACKUP_BYTES = 96 * 1024 * 1024;

/** What a backup holds: all that the vault's file said then. */
export type VaultBackup = {
  readonly header: BackupHeader;
  readonly keks: readonly KekRow[];
  readonly versions: readonly VersionRow[];
};

/** The vault's own row in a backup. */
export type BackupHeader = Omit<HeaderRow, "state_mac">;

/** What putting a backup back would change. */
export type BackupChanges = {
  /** Of the vault as it is now. */
  readonly revision: number;
  readonly backupRevision: number;
  /** KEKs and versions that were destroyed since: their private keys come back. */
  readonly revived: readonly string[];
  /** KEKs and versions that were disabled since: they work again. */
  readonly enabled: readonly string[];
  /** KEKs and versions made since: what is sealed for them alone is lost. */
  readonly lost: readonly string[];
};

/** The backup's bytes: magic, length and JCS form of the head, nonce, AES-256-GCM of the rows. */
export function encodeBackup(state: VaultState, root: RootKey): Uint8Array {
  const { state_mac: _, ...header } = state.header;
  const head = concatBytes(MAGIC, lengthPrefixed(encodeJcs(toJson(header))));
  const { keks, versions } = state;
  const body = encodeJcs({ keks: keks.map(toJson), versions: versions.map(toJson) });
  const nonce = Uint8Array.from(randomBytes(NONCE_BYTES));
  using key = backupKey(root, header);
  const cipher = key.expose((bytes) => createCipheriv("aes-256-gcm", bytes, nonce));
  cipher.setAAD(head);
  return concatBytes(head, nonce, cipher.update(body), cipher.final(), cipher.getAuthTag());
}

/** The head of a backup, not authenticated: it says which root key opens the rest. @throws key.backup */
export function peekBackup(bytes: Uint8Array): BackupHeader {
  return readHead(bytes).header;
}

/**
 * Opens a backup with the vault's root key.
 * @throws key.backup where it is not one, was changed, or is of another vault, mode or root key
 */
export function decodeBackup(
  bytes: Uint8Array,
  options: {
    readonly root: RootKey;
    /** The vault that it is put back into; null where there is none any more. */
    readonly identity: Pick<HeaderRow, "vault_id" | "mode" | "salt"> | null;
  },
): VaultBackup {
  const { root, identity } = options;
  const { header, end } = readHead(bytes);
  if (identity !== null && (header.vault_id !== identity.vault_id || header.mode !== identity.mode))
    throw refused(
      `it is of the vault ${header.vault_id} for ${header.mode}, and this one is ${identity.vault_id} for ${identity.mode}: restore it where ppml.yaml names that vault`,
    );
  const nonce = bytes.subarray(end, end + NONCE_BYTES);
  const ciphertext = bytes.subarray(end + NONCE_BYTES, -TAG_BYTES);
  try {
    using key = backupKey(root, header);
    const decipher = key.expose((secret) =>
      createDecipheriv("aes-256-gcm", secret, nonce, { authTagLength: TAG_BYTES }),
    );
    decipher.setAAD(bytes.subarray(0, end));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const body = concatBytes(decipher.update(ciphertext), decipher.final());
    return { header, ...parseRows(body) };
  } catch (cause) {
    throw refused(
      "it was changed, or the root key or passphrase is not that of its vault: take another copy, or the vault's own root key",
      cause,
    );
  }
}

/** What putting the backup back into this vault would change. */
export function changesBetween(now: VaultState, backup: VaultBackup): BackupChanges {
  const before = statesOf(backup);
  const after = [...statesOf(now)];
  const cameBack = (state: string) =>
    after.flatMap(([name, present]) =>
      present === state && before.get(name) !== undefined && before.get(name) !== state ? name : [],
    );
  const kept = new Set(backup.versions.map((row) => row.version));
  return {
    revision: now.header.revision,
    backupRevision: backup.header.revision,
    revived: cameBack("destroyed"),
    enabled: cameBack("disabled"),
    lost: now.versions.flatMap((row) =>
      kept.has(row.version) ? [] : `version ${row.number} of KEK ${row.name}`,
    ),
  };
}

function statesOf({ keks, versions }: Pick<VaultState, "keks" | "versions">) {
  return new Map([
    ...keks.map((row) => [`KEK ${row.name}`, row.state] as const),
    ...versions.map((row) => [`version ${row.number} of KEK ${row.name}`, row.state] as const),
  ]);
}

function readHead(bytes: Uint8Array): { readonly header: BackupHeader; readonly end: number } {
  const from = MAGIC.byteLength + 4;
  const least = from + NONCE_BYTES + TAG_BYTES;
  if (bytes.byteLength < least || !equalBytes(bytes.subarray(0, MAGIC.byteLength), MAGIC))
    throw refused('it does not begin with "ppml-vault-backup v1"');
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.byteLength);
  if (length > MAX_HEAD_BYTES || length > bytes.byteLength - least)
    throw refused("its head is longer than a backup's");
  const end = from + length;
  try {
    const json = parseCanonicalJson(bytes.subarray(from, end), "the backup's head");
    return { header: backupHeaderSchema.parse(fromJson(json)), end };
  } catch (cause) {
    throw refused("its head is not in its form", cause);
  }
}

const backupHeaderSchema = headerSchema.omit({ state_mac: true });
const rowsSchema = z.strictObject({ keks: z.array(z.unknown()), versions: z.array(z.unknown()) });

function parseRows(body: Uint8Array): Pick<VaultBackup, "keks" | "versions"> {
  const { keks, versions } = rowsSchema.parse(parseCanonicalJson(body, "the backup"));
  return {
    keks: keks.map((row) => kekRowSchema.parse(fromJson(row))),
    versions: versions.map((row) => versionRowSchema.parse(fromJson(row))),
  };
}

function backupKey(root: RootKey, header: Pick<HeaderRow, "vault_id" | "salt">): Secret {
  const info = encodeFields("ppml vault v1", "backup", header.vault_id);
  return root.derive({ salt: header.salt, info });
}

function lengthPrefixed(bytes: Uint8Array): Uint8Array {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.byteLength);
  return concatBytes(length, bytes);
}

/** Bytes as {"b": base64url}: no column's text looks like that. */
function toJson(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? { b: toBase64Url(value) } : value,
    ]),
  );
}

const bytesSchema = z.strictObject({ b: z.string() });

function fromJson(row: unknown): unknown {
  if (typeof row !== "object" || row === null) return row;
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      const bytes = bytesSchema.safeParse(value);
      return [name, bytes.success ? fromBase64Url(bytes.data.b) : value];
    }),
  );
}

function refused(why: string, cause?: unknown): PpmlError {
  return new PpmlError("key.backup", `the backup is refused: ${why}`, { cause });
}
