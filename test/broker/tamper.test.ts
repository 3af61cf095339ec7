import assert from "node:assert/strict";
import { copyFileSync, cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, beforeEach, describe, test } from "node:test";
import { isPpmlError } from "../../src/base/index.ts";
import { BrokerDatabase } from "../../src/broker/database.ts";
import { floorOf } from "../../src/broker/floors.ts";
import { makeNonce, requireOpenNonce, spendNonce } from "../../src/broker/nonces.ts";
import { policyInForce } from "../../src/broker/policies.ts";
import { createRootKeyFile, loadRootKeyFile } from "../../src/key/root-key.ts";
import type { RootKey } from "../../src/key/root-key.ts";
import {
  applyPolicy,
  call,
  challenge,
  INPUT_DATASET,
  makeFixture,
  manifestOf,
  NOW_MS,
  policyOf,
  postManifest,
} from "./fixture.ts";
import type { Fixture } from "./fixture.ts";
import { granted, receiptRequest } from "./result-sample.ts";

type Row = Record<string, null | number | string | Uint8Array>;

const TABLES = [
  "floors",
  "identity",
  "leaves",
  "nonces",
  "policies",
  "release_key",
  "releases",
  "state",
] as const;

let fixture: Fixture;
let root: RootKey;
/** Nonces, floors, policies and releases as they are, and as they were a little earlier. */
let original: string;
let older: string;
let copy: string;
let nonce: string;

before(async () => {
  fixture = await makeFixture();
  [original, older, copy] = ["original", "older", "copy"].map((name) =>
    join(fixture.dir, `${name}.db`),
  ) as [string, string, string];
  root = await loadRootKeyFile({ path: join(fixture.dir, "root.key") });
  await applyPolicy(fixture, policyOf(fixture, { grants: [fixture.keks.open.kekId] }));
  await postManifest(fixture, manifestOf(fixture));
  nonce = await challenge(fixture);
  save(older);
  const { db } = fixture.state;
  db.transaction(() => {
    spendNonce(db, nonce, NOW_MS);
  });
  await applyPolicy(fixture, policyOf(fixture, { version: 2 }));
  await postManifest(fixture, manifestOf(fixture, { version: 2 }));
  const release = await granted(fixture);
  const answer = await call(fixture.app, "/v1/receipts", await receiptRequest(fixture, release));
  assert.equal(answer.status, 200, answer.message);
  await granted(fixture);
  for (let count = 0; count < 2; count += 1) await challenge(fixture);
  save(original);
});
after(async () => {
  root[Symbol.dispose]();
  await fixture.dispose();
});
beforeEach(() => {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(copy + suffix, { force: true });
  copyFileSync(original, copy);
});

/** The broker's database as one file, whatever stands in its WAL. */
function save(path: string): void {
  using db = new DatabaseSync(join(fixture.dir, "broker", "broker.db"));
  db.exec(`VACUUM INTO '${path}'`);
}

function changeWith(sql: string, ...values: Row[string][]): void {
  using db = new DatabaseSync(copy);
  db.exec(`ATTACH '${older}' AS old`);
  if (values.length === 0) db.exec(sql);
  else db.prepare(sql).run(...values);
}

function rowsOf(table: string): Row[] {
  using db = new DatabaseSync(original, { readOnly: true });
  return db.prepare(`SELECT * FROM ${table}`).all() as Row[];
}

function refused(what: string, use: () => unknown): void {
  assert.throws(use, (error) => isPpmlError(error, "broker.state"), what);
}

/** That the changed copy does not open. */
function refusedAfter(sql: string, ...values: Row[string][]): void {
  changeWith(sql, ...values);
  refused(`${sql} ${values.map(String).join()}`, () => BrokerDatabase.open(copy, root));
  copyFileSync(original, copy);
}

describe("the broker's database, changed from outside", () => {
  test("an unchanged copy opens, and says the same", () => {
    using db = BrokerDatabase.open(copy, root);
    assert.equal(floorOf(db, INPUT_DATASET).minVersion, 2);
    assert.equal(policyInForce(db, "analysis").payload.version, 2);
    for (const table of TABLES) assert.ok(rowsOf(table).length > 0, table);
  });

  for (const table of TABLES)
    test(`a change of any column of any row of table ${table} is refused`, () => {
      let tried = 0;
      for (const row of rowsOf(table).slice(0, 4)) {
        const [key = ""] = Object.keys(row);
        for (const [column, value] of Object.entries(row)) {
          // Of a leaf only the hash is under the state's MAC: its envelope has to give that hash.
          if (table === "leaves" && column === "envelope") continue;
          for (const other of otherValues(value)) {
            const set = `UPDATE ${table} SET ${column} = ? WHERE ${key} = ?`;
            try {
              refusedAfter(set, other, row[key] ?? null);
            } catch (error) {
              // SQLite itself refuses what the column's type or key rules out.
              if (!/constraint|datatype|cannot store/i.test(String(error))) throw error;
              continue;
            }
            tried += 1;
          }
        }
        refusedAfter(`DELETE FROM ${table} WHERE ${key} = ?`, row[key] ?? null);
      }
      assert.ok(tried >= 3, `${tried} changes tried`);
    });

  test("rows cannot be swapped, added or removed, with their MACs or without", () => {
    const digest = "00".repeat(32);
    for (const sql of [
      "UPDATE floors SET dataset_id = CASE dataset_id WHEN '" +
        `${INPUT_DATASET}' THEN '${"33".repeat(16)}' ELSE '${INPUT_DATASET}' END`,
      "DELETE FROM floors",
      "DELETE FROM policies",
      "DELETE FROM nonces",
      "DELETE FROM releases",
      "DELETE FROM leaves",
      "DELETE FROM state",
      `INSERT INTO floors SELECT '${"44".repeat(16)}', version, manifest_digest, signers, delegated_by, mac FROM floors LIMIT 1`,
      `INSERT INTO floors VALUES ('${"44".repeat(16)}', 1, '${digest}', '[]', NULL, zeroblob(32))`,
      "INSERT INTO policies SELECT 'other', version, digest, envelope, mac FROM policies LIMIT 1",
      `UPDATE releases SET (json, mac) = (SELECT json, mac FROM releases ORDER BY log_index DESC LIMIT 1)`,
      "UPDATE releases SET receipt_index = NULL, receipt_digest = NULL",
      "UPDATE leaves SET log_index = -log_index; UPDATE leaves SET log_index = log_index + 100",
    ])
      refusedAfter(sql);
  });

  test("a lower floor, an older policy and a spent nonce of an older copy do not come back", () => {
    for (const table of ["floors", "policies", "nonces", "state"])
      refusedAfter(`INSERT OR REPLACE INTO ${table} SELECT * FROM old.${table}`);
    for (const table of ["floors", "policies", "nonces", "releases", "leaves", "state"])
      refusedAfter(`DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM old.${table}`);
    // All of them at once, but for the log: the state's MAC covers that too.
    const all = ["floors", "policies", "nonces", "releases", "state"].map(
      (table) => `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM old.${table};`,
    );
    refusedAfter(all.join(" "));
  });

  test("rows of another broker under the same root key are refused", async () => {
    const dir = join(fixture.dir, "other");
    cpSync(join(fixture.dir, "broker"), dir, { recursive: true });
    const path = join(dir, "broker.db");
    for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
    const { identity, releaseKey } = fixture.state.db;
    using other = BrokerDatabase.create(path, { identity, releaseKey, root });
    other.transaction(() => {
      other.put("floors", [INPUT_DATASET, 1, "00".repeat(32), "[]", null]);
    });
    refusedAfter(
      `ATTACH '${path}' AS other; DELETE FROM floors; INSERT INTO floors SELECT * FROM other.floors`,
    );
    refusedAfter(
      `ATTACH '${path}' AS other; DELETE FROM state; INSERT INTO state SELECT * FROM other.state`,
    );
  });

  test("another root key opens nothing", async () => {
    const path = join(fixture.dir, "other-root.key");
    await createRootKeyFile({ path });
    using other = await loadRootKeyFile({ path });
    refused("another root key", () => BrokerDatabase.open(copy, other));
  });

  test("planted triggers, views, tables, indexes and marks are refused before they act", () => {
    for (const sql of [
      "CREATE TRIGGER t BEFORE INSERT ON floors BEGIN SELECT RAISE(IGNORE); END",
      "CREATE VIEW v AS SELECT * FROM floors",
      "CREATE TABLE extra (a)",
      "CREATE INDEX i ON floors (version)",
      "ALTER TABLE floors ADD COLUMN extra TEXT",
      "ALTER TABLE floors RENAME TO floors2; CREATE VIEW floors AS SELECT * FROM floors2",
      "PRAGMA application_id = 1",
      "PRAGMA user_version = 1",
      "DROP TABLE nonces",
    ])
      refusedAfter(sql);
  });
});

describe("the broker's database, changed while it is in use", () => {
  test("an edited, removed or put-back row is refused at the next use", () => {
    for (const [sql, use] of [
      ["UPDATE floors SET version = 1", (db) => floorOf(db, INPUT_DATASET)],
      ["DELETE FROM floors", (db) => floorOf(db, INPUT_DATASET)],
      [
        "INSERT OR REPLACE INTO floors SELECT * FROM old.floors",
        (db) => floorOf(db, INPUT_DATASET),
      ],
      [
        "INSERT OR REPLACE INTO policies SELECT * FROM old.policies",
        (db) => policyInForce(db, "analysis"),
      ],
      [
        "INSERT OR REPLACE INTO nonces SELECT * FROM old.nonces",
        (db) => {
          db.transaction(() => {
            spendNonce(db, nonce, NOW_MS);
          });
        },
      ],
      [
        "CREATE TRIGGER t BEFORE INSERT ON nonces BEGIN SELECT RAISE(IGNORE); END",
        (db) => makeNonce(db, { nowMs: NOW_MS, random: (length) => new Uint8Array(length) }),
      ],
    ] as const satisfies readonly (readonly [string, (db: BrokerDatabase) => unknown])[]) {
      {
        using db = BrokerDatabase.open(copy, root);
        assert.equal(floorOf(db, INPUT_DATASET).minVersion, 2);
        changeWith(sql);
        refused(sql, () => use(db));
      }
      copyFileSync(original, copy);
    }
  });

  test("a whole older state, MACs and all, is refused while the broker runs", () => {
    using db = BrokerDatabase.open(copy, root);
    assert.equal(floorOf(db, INPUT_DATASET).minVersion, 2);
    const statements = TABLES.map(
      (table) => `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM old.${table};`,
    );
    changeWith(statements.join(" "));
    refused("an older state", () => floorOf(db, INPUT_DATASET));
  });

  test("an undone transaction leaves memory as it was, and what comes after is verified", () => {
    using db = BrokerDatabase.open(copy, root);
    const open = db.count("nonces");
    const floor = floorOf(db, INPUT_DATASET);
    assert.throws(
      () =>
        db.transaction(() => {
          db.put("floors", [INPUT_DATASET, 9, "00".repeat(32), "[]", null]);
          db.put("nonces", ["n", NOW_MS + 1000]);
          db.remove("policies", "analysis");
          db.appendLeaf("{}", new Uint8Array(32));
          throw new Error("undo");
        }),
      { message: "undo" },
    );
    assert.deepEqual(floorOf(db, INPUT_DATASET), floor);
    assert.equal(db.count("nonces"), open);
    assert.equal(policyInForce(db, "analysis").payload.version, 2);
    const { nonce: fresh } = makeNonce(db, {
      nowMs: NOW_MS,
      random: (length) => new Uint8Array(length).fill(3),
    });
    using again = BrokerDatabase.open(copy, root);
    requireOpenNonce(again, fresh, NOW_MS);
    assert.equal(again.logMark.size, db.logMark.size);
  });

  test("two connections that change by turns see each other's rows", () => {
    using one = BrokerDatabase.open(copy, root);
    using two = BrokerDatabase.open(copy, root);
    for (let turn = 0; turn < 6; turn += 1) {
      const [writer, reader] = turn % 2 === 0 ? [one, two] : [two, one];
      const random = (length: number): Uint8Array => new Uint8Array(length).fill(turn + 10);
      const made = makeNonce(writer, { nowMs: NOW_MS, random });
      requireOpenNonce(reader, made.nonce, NOW_MS);
    }
    assert.equal(one.count("nonces"), two.count("nonces"));
  });
});

/** Other values of a column, of its own kind and not. */
function otherValues(value: Row[string]): Row[string][] {
  if (typeof value === "string")
    return ["", `${value}x`, value.toUpperCase(), null].filter((other) => other !== value);
  if (typeof value === "number") return [value + 1, -1, null];
  if (!(value instanceof Uint8Array)) return ["x", 7];
  const changed = Uint8Array.from(value);
  changed[0] = (changed[0] ?? 0) ^ 1;
  return [changed, new Uint8Array(0), value.subarray(1)];
}
