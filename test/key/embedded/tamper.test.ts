import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError, Secret, utf8 } from "../../../src/base/index.ts";
import {
  decryptPrivateKey,
  encryptPrivateKey,
  makeKeyPair,
  type PrivateKeyPlace,
} from "../../../src/key/embedded/private-key.ts";
import { createEmbeddedVault, type KekInfo, openEmbeddedVault } from "../../../src/key/index.ts";
import { failureOf } from "../suite.ts";
import { makeFolder } from "./fixture.ts";

type Row = Record<string, null | number | bigint | string | Uint8Array>;

describe("embedded vault, changed from outside", () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>;
  let original: string;
  let older: string;
  let copy: string;
  let keks: readonly KekInfo[];

  before(async () => {
    folder = await makeFolder();
    [original, older, copy] = [folder.path("v.db"), folder.path("old.db"), folder.path("copy.db")];
    const { root } = folder;
    using vault = await createEmbeddedVault({ path: original, mode: "production", root });
    const a = await vault.createKek({ name: "a", kind: "unwrap-only", purpose: "numbers" });
    await vault.rotateKek(a.kekId);
    const b = await vault.createKek({ name: "b", kind: "unwrap-only" });
    copyFileSync(original, older);
    await vault.destroyKek(a.kekId, a.currentVersion);
    await vault.disableKek(b.kekId);
    keks = await vault.listKeks();
  });
  after(async () => folder.dispose());

  const opened = async (change: (db: DatabaseSync) => void, root = folder.root) => {
    copyFileSync(original, copy);
    const db = new DatabaseSync(copy, { defensive: false });
    try {
      change(db);
    } finally {
      db.close();
    }
    return openEmbeddedVault({ path: copy, root });
  };

  /** The code with which the changed vault refuses to open. */
  const codeAfter = async (change: (db: DatabaseSync) => void) =>
    (await failureOf(opened(change))).code;

  test("an unchanged copy opens, and says the same", async () => {
    using vault = await opened(() => undefined);
    assert.deepEqual(await vault.listKeks(), keks);
  });

  for (const table of ["vault", "kek", "kek_version"] as const)
    test(`a change of any column of any row of table ${table} is refused`, async () => {
      const db = new DatabaseSync(original, { readOnly: true });
      const rows = db.prepare(`SELECT * FROM ${table}`).all() as Row[];
      db.close();
      let tried = 0;
      for (const row of rows)
        for (const column of Object.keys(row))
          for (const value of otherValues(row[column] ?? null, column)) {
            const where = keyOf(table, row);
            const code = await codeAfter((changed) => {
              changed.exec("PRAGMA ignore_check_constraints = ON");
              const set = changed.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`);
              try {
                set.run(value);
              } catch (error) {
                // SQLite refuses what the column's type or key rules out: then another way is taken.
                assert.match(String(error), /constraint|datatype|cannot store/i);
                changed.exec(`DELETE FROM ${table} WHERE ${where}`);
              }
            });
            const what = `${table}.${column} = ${String(value)}: ${code}`;
            assert.ok(code === "key.vault_invalid" || code === "key.vault_locked", what);
            // Only what goes into the root key's check may look like a wrong root key.
            if (code === "key.vault_locked")
              assert.ok(["vault_id", "salt", "root_check"].includes(column), what);
            tried += 1;
          }
      assert.ok(tried >= 12, `${tried} changes tried`);
    });

  test("a vault's mode cannot be flipped in the file", async () => {
    const failure = await failureOf(
      opened((db) => db.exec("UPDATE vault SET mode = 'simulation'")),
    );
    assert.equal(failure.code, "key.vault_invalid");
    assert.match(failure.message, /changed/);
  });

  test("rows of KEKs and versions cannot be swapped, removed or added", async () => {
    const both = "SET name = CASE name WHEN 'a' THEN 'c' ELSE 'a' END";
    const changes = [
      `UPDATE kek ${both}`,
      `UPDATE kek_version ${both}`,
      "DELETE FROM kek WHERE name = 'b'; DELETE FROM kek_version WHERE name = 'b'",
      "DELETE FROM kek; DELETE FROM kek_version",
      "DELETE FROM vault",
      "INSERT INTO kek SELECT 'c', kind, release_policy, purpose, state, created, current_version, mac FROM kek WHERE name = 'a'",
      `UPDATE kek_version SET (nonce, private_key) =
         (SELECT nonce, private_key FROM kek_version WHERE name = 'b') WHERE name = 'a' AND number = 2`,
      `UPDATE kek_version SET (version, public_key, nonce, private_key, mac) =
         (SELECT version, public_key, nonce, private_key, mac FROM kek_version WHERE name = 'b')
         WHERE name = 'a' AND number = 2`,
    ];
    for (const sql of changes)
      assert.equal(await codeAfter((db) => db.exec(sql)), "key.vault_invalid", sql);
  });

  test("a row of an older copy, MAC and all, brings no disabled or destroyed key back", async () => {
    for (const sql of [
      "INSERT OR REPLACE INTO kek SELECT * FROM old.kek WHERE name = 'b'",
      "INSERT OR REPLACE INTO kek_version SELECT * FROM old.kek_version WHERE name = 'a' AND number = 1",
      "INSERT OR REPLACE INTO kek SELECT * FROM old.kek; INSERT OR REPLACE INTO kek_version SELECT * FROM old.kek_version",
      "INSERT OR REPLACE INTO vault SELECT * FROM old.vault",
    ]) {
      const code = await codeAfter((db) => {
        db.exec(`ATTACH '${older}' AS old; ${sql}`);
      });
      assert.equal(code, "key.vault_invalid", sql);
    }
  });

  test("an older copy of the whole file opens: docs/vault.md says that the vault cannot tell", async () => {
    using vault = await openEmbeddedVault({ path: older, root: folder.root });
    assert.ok((await vault.listKeks()).every((kek) => kek.state === "enabled"));
  });

  test("another vault's rows under the same root-key file are refused", async () => {
    const path = folder.path("other.db");
    const { root } = folder;
    const other = await createEmbeddedVault({ path, mode: "production", root });
    const { kekId } = await other.createKek({ name: "a", kind: "unwrap-only" });
    await other.disableKek(kekId);
    other[Symbol.dispose]();
    const code = await codeAfter((db) => {
      db.exec(`ATTACH '${path}' AS other; DELETE FROM kek; DELETE FROM kek_version;
        INSERT INTO kek SELECT * FROM other.kek;
        INSERT INTO kek_version SELECT * FROM other.kek_version;`);
    });
    assert.equal(code, "key.vault_invalid");
  });

  test("planted triggers, views, tables, indexes and marks are refused before they act", async () => {
    for (const sql of [
      "CREATE TRIGGER t BEFORE UPDATE ON kek BEGIN SELECT RAISE(IGNORE); END",
      "CREATE VIEW v AS SELECT * FROM kek",
      "CREATE TABLE extra (a)",
      "CREATE INDEX i ON kek (state)",
      "ALTER TABLE kek ADD COLUMN extra TEXT",
      "ALTER TABLE kek RENAME TO kek2; CREATE VIEW kek AS SELECT * FROM kek2",
      "PRAGMA application_id = 1",
      "PRAGMA user_version = 3",
      "DROP TABLE kek",
    ])
      assert.equal(await codeAfter((db) => db.exec(sql)), "key.vault_invalid", sql);
  });

  test("a trigger planted while the vault is open stops the next change", async () => {
    using vault = await opened(() => undefined);
    const db = new DatabaseSync(copy);
    db.exec("CREATE TRIGGER t BEFORE INSERT ON kek BEGIN SELECT RAISE(IGNORE); END");
    db.close();
    const kekId = keks[0]?.kekId ?? "";
    assert.equal((await failureOf(vault.disableKek(kekId))).code, "key.vault_invalid");
  });

  test("a row changed while the vault is open is refused at the next use, put back it is not", async () => {
    using vault = await opened(() => undefined);
    const kekId = keks[1]?.kekId ?? "";
    assert.deepEqual(await vault.showKek(kekId), keks[1]);
    setStateOfB(copy, "enabled");
    assert.equal((await failureOf(vault.showKek(kekId))).code, "key.vault_invalid");
    assert.equal((await failureOf(vault.enableKek(kekId))).code, "key.vault_invalid");
    setStateOfB(copy, "disabled");
    assert.equal((await vault.enableKek(kekId)).state, "enabled");
    assert.equal((await vault.showKek(kekId)).state, "enabled");
  });

  test("a file turned to WAL mode is turned back", async () => {
    using vault = await opened((db) => db.exec("PRAGMA journal_mode = WAL"));
    assert.deepEqual(await vault.listKeks(), keks);
    assert.equal(readFileSync(copy)[18], 1);
  });

  test("hostile scrypt parameters are refused before scrypt runs", async () => {
    const path = folder.path("scrypt.db");
    const passphrase = Secret.take(utf8("correct horse battery"));
    const root = { kind: "passphrase", passphrase } as const;
    (await createEmbeddedVault({ path, mode: "simulation", root }))[Symbol.dispose]();
    const hostile = [
      { n: 2 ** 30, r: 8, p: 1 },
      { n: 2 ** 19, r: 8, p: 1 },
      { n: 2 ** 17, r: 2 ** 20, p: 1 },
      { n: 2 ** 17, r: 8, p: 2 ** 24 },
      { n: 2 ** 17, r: 8, p: 0 },
      { n: 2 ** 17 + 1, r: 8, p: 1 },
      { n: 0, r: 8, p: 1 },
      { n: 2, r: 8, p: 1 },
      { n: -1, r: 8, p: 1 },
      { n: 2n ** 62n, r: 8, p: 1 },
    ];
    const startedMs = performance.now();
    for (const { n, r, p } of hostile) {
      copyFileSync(path, copy);
      const db = new DatabaseSync(copy);
      db.prepare("UPDATE vault SET scrypt_n = ?, scrypt_r = ?, scrypt_p = ?").run(n, r, p);
      db.close();
      const failure = await failureOf(openEmbeddedVault({ path: copy, root }));
      assert.equal(failure.code, "key.vault_invalid");
    }
    for (const salt of [new Uint8Array(0), new Uint8Array(2 ** 20)]) {
      const db = new DatabaseSync(copy);
      db.prepare("UPDATE vault SET scrypt_n = 131072, scrypt_salt = ?").run(salt);
      db.close();
      const failure = await failureOf(openEmbeddedVault({ path: copy, root }));
      assert.equal(failure.code, "key.vault_invalid");
    }
    assert.ok(performance.now() - startedMs < 2000, "no scrypt ran");
  });

  test("flipped bytes and cuts anywhere in the file are refused or change nothing", async () => {
    const bytes = readFileSync(original);
    const property = fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(bytes.byteLength - 1), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 8,
      }),
      fc.option(fc.nat(bytes.byteLength), { freq: 4 }),
      async (flips, length) => {
        const changed = Uint8Array.from(bytes);
        for (const [at, mask] of flips) changed[at] = (changed[at] ?? 0) ^ mask;
        rmSync(`${copy}-wal`, { force: true });
        rmSync(`${copy}-shm`, { force: true });
        writeFileSync(copy, changed.subarray(0, length ?? bytes.byteLength));
        try {
          using vault = await openEmbeddedVault({ path: copy, root: folder.root });
          assert.deepEqual(await vault.listKeks(), keks);
        } catch (error) {
          assert.ok(isPpmlError(error) && error.code.startsWith("key.vault_"), String(error));
        }
      },
    );
    await fc.assert(property, { numRuns: 150 });
  });

  test("an encrypted private key opens in its own place only", async () => {
    using key = Secret.take(new Uint8Array(32).fill(7));
    using pair = await makeKeyPair(3072);
    const place: PrivateKeyPlace = {
      vaultId: "0123456789abcdef",
      mode: "production",
      kekId: "embedded:0123456789abcdef/a",
      kekVersion: pair.kekVersion,
      kind: "unwrap-only",
      releasePolicy: null,
    };
    const sealed = encryptPrivateKey(key, { place, pkcs8: pair.pkcs8 });
    assert.equal(decryptPrivateKey(key, { place, ...sealed }).asymmetricKeyType, "rsa");
    const elsewhere: readonly Partial<PrivateKeyPlace>[] = [
      { vaultId: "0123456789abcdee" },
      { mode: "simulation" },
      { kekId: "embedded:0123456789abcdef/b" },
      { kekVersion: "0".repeat(32) },
      { kind: "exportable" },
      { releasePolicy: "{}" },
    ];
    for (const part of elsewhere)
      assert.throws(() => decryptPrivateKey(key, { place: { ...place, ...part }, ...sealed }), {
        code: "key.vault_invalid",
      });
    for (const length of [0, 1, 15, 16, 17, sealed.ciphertext.byteLength - 1]) {
      const ciphertext = sealed.ciphertext.subarray(0, length);
      assert.throws(() => decryptPrivateKey(key, { place, nonce: sealed.nonce, ciphertext }), {
        code: "key.vault_invalid",
      });
    }
  });
});

function setStateOfB(path: string, state: string): void {
  const db = new DatabaseSync(path);
  db.prepare("UPDATE kek SET state = ? WHERE name = 'b'").run(state);
  db.close();
}

function keyOf(table: string, row: Row): string {
  if (table === "vault") return "id = 1";
  const name = `name = '${String(row["name"])}'`;
  return table === "kek" ? name : `${name} AND number = ${String(row["number"])}`;
}

/** Other values of a column: of its own kind where the vault would accept them elsewhere, and not. */
function otherValues(value: Row[string], column: string): Row[string][] {
  const words = {
    state: ["enabled", "disabled", "destroyed"],
    mode: ["simulation"],
    kind: ["exportable"],
    root_kind: ["passphrase"],
    created: ["2020-01-01T00:00:00Z"],
    purpose: ["numberz", ""],
    name: ["z"],
    vault_id: ["0123456789abcdef"],
  }[column];
  const others: Row[string][] = [...(words ?? [])];
  if (typeof value === "string") others.push("", `${value}x`, value.toUpperCase(), null);
  else if (typeof value === "number") others.push(value + 1, -1, 2n ** 60n, null);
  else if (value instanceof Uint8Array) {
    for (const at of [0, value.byteLength - 1]) {
      const changed = Uint8Array.from(value);
      changed[at] = (changed[at] ?? 0) ^ 1;
      others.push(changed);
    }
    others.push(new Uint8Array(0), value.subarray(1), null);
  } else others.push("x", 131_072, new Uint8Array(32));
  return others.filter((other) => other !== value);
}
