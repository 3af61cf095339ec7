import type { DatabaseSchema } from "../key/checked-schema.ts";

/** Columns of each table with authenticated rows, in their order; the first is the key. */
export const COLUMNS = {
  floors: ["dataset_id", "version", "manifest_digest", "signers", "delegated_by"],
  identity: ["id", "json"],
  nonces: ["nonce", "expires_ms"],
  policies: ["name", "version", "digest", "envelope"],
  release_key: ["id", "json"],
  releases: ["signing_key", "log_index", "json", "receipt_index", "receipt_digest"],
  resources: ["path", "version", "digest", "envelope"],
} as const satisfies Readonly<Record<string, readonly [string, ...string[]]>>;

/** A table whose rows are authenticated one by one and all together. */
export type TableName = keyof typeof COLUMNS;

/** The names of those tables. */
export const TABLE_NAMES = Object.keys(COLUMNS) as readonly TableName[];

/** `ppmb` in SQLite's header, and the broker's tables. */
export const SCHEMA: DatabaseSchema = {
  applicationId: 0x70706d62,
  version: 3,
  tables: [
    {
      name: "floors",
      sql: `CREATE TABLE floors (
  dataset_id TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  manifest_digest TEXT NOT NULL,
  signers TEXT NOT NULL,
  delegated_by TEXT,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID`,
    },
    {
      name: "identity",
      sql: `CREATE TABLE identity (
  id INTEGER NOT NULL PRIMARY KEY,
  json TEXT NOT NULL,
  mac BLOB NOT NULL
) STRICT`,
    },
    {
      name: "leaves",
      sql: `CREATE TABLE leaves (
  log_index INTEGER NOT NULL PRIMARY KEY,
  envelope TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT`,
    },
    {
      name: "nonces",
      sql: `CREATE TABLE nonces (
  nonce TEXT NOT NULL PRIMARY KEY,
  expires_ms INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID`,
    },
    {
      name: "policies",
      sql: `CREATE TABLE policies (
  name TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  envelope TEXT NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID`,
    },
    {
      name: "release_key",
      sql: `CREATE TABLE release_key (
  id INTEGER NOT NULL PRIMARY KEY,
  json TEXT NOT NULL,
  mac BLOB NOT NULL
) STRICT`,
    },
    {
      name: "releases",
      sql: `CREATE TABLE releases (
  signing_key TEXT NOT NULL PRIMARY KEY,
  log_index INTEGER NOT NULL,
  json TEXT NOT NULL,
  receipt_index INTEGER,
  receipt_digest TEXT,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID`,
    },
    {
      name: "resources",
      sql: `CREATE TABLE resources (
  path TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  envelope TEXT NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID`,
    },
    {
      name: "state",
      sql: `CREATE TABLE state (
  id INTEGER NOT NULL PRIMARY KEY,
  salt BLOB NOT NULL,
  revision INTEGER NOT NULL,
  log_size INTEGER NOT NULL,
  log_chain BLOB NOT NULL,
  mac BLOB NOT NULL
) STRICT`,
    },
  ],
};
