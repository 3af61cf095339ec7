import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { concatBytes, equalBytes, fromUtf8, utf8 } from "../../base/bytes.ts";
import type { Secret } from "../../base/secret.ts";
import { encodeJcs, parseCanonicalJson } from "../../format/jcs.ts";
import { kekKindSchema, kekVersionSchema, modeSchema } from "../../format/kek.ts";
import { skrPolicySchema } from "../../format/skr/skr-policy.ts";
import type { SkrPolicy } from "../../format/skr/skr-policy.ts";
import { macOf } from "../row-mac.ts";
import { invalid } from "./database.ts";

/** Longest JCS text of a release policy, in characters. */
export const MAX_POLICY_CHARS = 64 * 1024;

const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const stateSchema = z.enum(["enabled", "disabled", "destroyed"]);
const createdSchema = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
const nameSchema = z.string().regex(/^[a-z0-9-]{1,63}$/);
const macSchema = bytesSchema.refine((bytes) => bytes.byteLength === 32);

/** The vault's own row. */
export const headerSchema = z.strictObject({
  id: z.literal(1),
  vault_id: z.string().regex(/^[0-9a-f]{16}$/),
  mode: modeSchema,
  created: createdSchema,
  root_kind: z.enum(["passphrase", "file"]),
  scrypt_n: z.int().nonnegative().nullable(),
  scrypt_r: z.int().nonnegative().nullable(),
  scrypt_p: z.int().nonnegative().nullable(),
  scrypt_salt: bytesSchema.nullable(),
  salt: bytesSchema.refine((bytes) => bytes.byteLength === 32),
  root_check: macSchema,
  revision: z.int().nonnegative(),
  state_mac: macSchema,
});

const kekShape = {
  name: nameSchema,
  kind: kekKindSchema,
  /** JCS text. */
  release_policy: z.string().max(MAX_POLICY_CHARS).nullable(),
  purpose: z.string().max(200).nullable(),
  state: stateSchema,
  created: createdSchema,
  current_version: kekVersionSchema,
};
const policyFits = ({ kind, release_policy }: Pick<KekRow, "kind" | "release_policy">): boolean =>
  (kind === "exportable") === (release_policy !== null);

/** A KEK's row without its MAC. */
export const kekRowSchema = z.strictObject(kekShape).refine(policyFits);
const kekSchema = z.strictObject({ ...kekShape, mac: macSchema }).refine(policyFits);

const versionShape = {
  name: nameSchema,
  number: z.int().positive(),
  version: kekVersionSchema,
  state: stateSchema,
  created: createdSchema,
  public_key: bytesSchema,
  nonce: bytesSchema.nullable(),
  private_key: bytesSchema.nullable(),
};

/** A KEK version's row without its MAC. */
export const versionRowSchema = z.strictObject(versionShape);
const versionSchema = z.strictObject({ ...versionShape, mac: macSchema });

/** The vault's own row, as stored. */
export type HeaderRow = z.infer<typeof headerSchema>;
/** A KEK's row without its MAC. */
export type KekRow = z.infer<z.ZodObject<typeof kekShape>>;
/** A KEK version's row without its MAC; nonce and private_key are null once it is destroyed. */
export type VersionRow = z.infer<typeof versionRowSchema>;

/** All that the vault's file says, verified: KEKs by name, versions by name and number. */
export type VaultState = {
  readonly header: HeaderRow;
  readonly keks: readonly KekRow[];
  readonly versions: readonly VersionRow[];
  /** The MACs of those rows that are stored; a change makes new rows, which have none yet. */
  readonly macs: ReadonlyMap<KekRow | VersionRow, Uint8Array>;
};

/** The open file and the key that authenticates its rows. */
export type VaultFile = {
  readonly db: DatabaseSync;
  readonly path: string;
  readonly macKey: Secret;
};

/** Reads the vault's own row; its content is not yet authenticated. @throws key.vault_invalid */
export function readHeader(db: DatabaseSync, path: string): HeaderRow {
  const rows = db.prepare("SELECT * FROM vault LIMIT 2").all();
  const header = headerSchema.safeParse(rows[0]);
  if (rows.length !== 1 || !header.success)
    throw invalid(path, "the row of table vault is not in its form", header.error);
  return header.data;
}

/**
 * Reads and verifies everything, inside a transaction: each row's MAC, then the MAC over all of them.
 * @throws key.vault_invalid naming the first row that was changed
 */
export function loadState(file: VaultFile): VaultState {
  const { db, path, macKey } = file;
  const header = readHeader(db, path);
  const keks: KekRow[] = [];
  const versions: VersionRow[] = [];
  const macs = new Map<KekRow | VersionRow, Uint8Array>();
  for (const raw of db.prepare("SELECT * FROM kek ORDER BY name").iterate()) {
    const { mac, ...row } = parseRow(kekSchema, raw, { path, table: "kek" });
    if (!equalBytes(mac, kekMac(macKey, header, row)))
      throw invalid(path, `the row of KEK ${row.name} was changed`);
    keks.push(row);
    macs.set(row, mac);
  }
  const select = db.prepare("SELECT * FROM kek_version ORDER BY name, number");
  for (const raw of select.iterate()) {
    const { mac, ...row } = parseRow(versionSchema, raw, { path, table: "kek_version" });
    if (!equalBytes(mac, versionMac(macKey, header, row)))
      throw invalid(path, `the row of version ${row.number} of KEK ${row.name} was changed`);
    versions.push(row);
    macs.set(row, mac);
  }
  const state = { header, keks, versions, macs };
  if (!equalBytes(header.state_mac, stateMac(macKey, state)))
    throw invalid(path, "rows were added, removed or put back, or the vault's own row was changed");
  return state;
}

/**
 * Writes the new rows of a changed state, inside the same transaction as the load, and raises the
 * revision; gives the state as it is then stored. Rows are never removed.
 */
export function saveState(file: VaultFile, changed: VaultState): VaultState {
  const { db, macKey } = file;
  const { keks, versions } = changed;
  const macs = new Map<KekRow | VersionRow, Uint8Array>();
  const putKek = db.prepare("INSERT OR REPLACE INTO kek VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  for (const row of keks) {
    const stored = changed.macs.get(row);
    const mac = stored ?? kekMac(macKey, changed.header, row);
    if (stored === undefined) putKek.run(...kekFields(row), mac);
    macs.set(row, mac);
  }
  const putVersion = db.prepare(
    "INSERT OR REPLACE INTO kek_version VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  for (const row of versions) {
    const stored = changed.macs.get(row);
    const mac = stored ?? versionMac(macKey, changed.header, row);
    if (stored === undefined) putVersion.run(...versionFields(row), mac);
    macs.set(row, mac);
  }
  const raised = { ...changed.header, revision: changed.header.revision + 1 };
  const mac = stateMac(macKey, { header: raised, keks, versions, macs });
  db.prepare("UPDATE vault SET revision = ?, state_mac = ? WHERE id = 1").run(raised.revision, mac);
  return { header: { ...raised, state_mac: mac }, keks, versions, macs };
}

/**
 * Puts the rows of a backup in the place of all rows, inside a transaction; the revision becomes the
 * higher of both, and one more.
 */
export function replaceState(
  file: VaultFile,
  options: {
    readonly backup: Pick<VaultState, "keks" | "versions"> & {
      readonly header: Omit<HeaderRow, "state_mac">;
    };
    readonly revision: number;
  },
): void {
  const { backup, revision } = options;
  file.db.exec("DELETE FROM kek_version; DELETE FROM kek; DELETE FROM vault");
  insertHeader(file, { ...backup.header, revision: Math.max(revision, backup.header.revision) });
  const { keks, versions } = backup;
  saveState(file, { header: readHeader(file.db, file.path), keks, versions, macs: new Map() });
}

/** A release policy as its column holds it. */
export function encodePolicy(policy: SkrPolicy): string {
  return fromUtf8(encodeJcs(policy));
}

/** A KEK's release policy; null for an unwrap-only one. @throws format.invalid */
export function policyOf(row: KekRow): SkrPolicy | null {
  if (row.release_policy === null) return null;
  return skrPolicySchema.parse(parseCanonicalJson(utf8(row.release_policy), "release policy"));
}

/** Writes the vault's own row into a new file, with the MAC of an empty vault. */
export function insertHeader(file: VaultFile, header: Omit<HeaderRow, "state_mac">): void {
  const row: HeaderRow = { ...header, state_mac: new Uint8Array(32) };
  const empty: VaultState = { header: row, keks: [], versions: [], macs: new Map() };
  file.db
    .prepare("INSERT INTO vault VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .run(...headerFields(row), stateMac(file.macKey, empty));
}

function headerFields(row: HeaderRow) {
  return [
    ...([row.id, row.vault_id, row.mode, row.created, row.root_kind] as const),
    ...([row.scrypt_n, row.scrypt_r, row.scrypt_p, row.scrypt_salt] as const),
    ...([row.salt, row.root_check, row.revision] as const),
  ] as const;
}

function kekFields(row: KekRow) {
  const { name, kind, release_policy, purpose, state, created, current_version } = row;
  return [name, kind, release_policy, purpose, state, created, current_version] as const;
}

function versionFields(row: VersionRow) {
  const { name, number, version, state, created, public_key, nonce, private_key } = row;
  return [name, number, version, state, created, public_key, nonce, private_key] as const;
}

type Identity = Pick<HeaderRow, "vault_id" | "mode">;

function kekMac(key: Secret, { vault_id, mode }: Identity, row: KekRow): Uint8Array {
  return macOf(key, "ppml vault kek v2", vault_id, mode, ...kekFields(row));
}

function versionMac(key: Secret, { vault_id, mode }: Identity, row: VersionRow): Uint8Array {
  const fields = versionFields(row);
  return macOf(key, "ppml vault kek version v1", vault_id, mode, ...fields);
}

// Over the rows' MACs in their order: which rows there are, and that they are all of one time.
function stateMac(key: Secret, { header, keks, versions, macs }: VaultState): Uint8Array {
  const rows = [...keks, ...versions].map((row) => macs.get(row) ?? new Uint8Array(0));
  const counts = [keks.length, versions.length];
  const fields = headerFields(header);
  return macOf(key, "ppml vault state v1", ...fields, ...counts, concatBytes(...rows));
}

function parseRow<T>(
  schema: z.ZodType<T>,
  raw: unknown,
  where: { readonly path: string; readonly table: string },
): T {
  const row = schema.safeParse(raw);
  if (!row.success)
    throw invalid(where.path, `a row of table ${where.table} is not in its form`, row.error);
  return row.data;
}
