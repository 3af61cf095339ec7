import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { chmod, readdir, stat, writeFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { Secret, utf8 } from "../../../src/base/index.ts";
import { inTransaction, openDatabase } from "../../../src/key/embedded/database.ts";
import { createEmbeddedVault, openEmbeddedVault, type VaultRoot } from "../../../src/key/index.ts";
import { refuses, runVaultSuite, wrapped } from "../suite.ts";
import { makeFolder } from "./fixture.ts";

for (const mode of ["simulation", "production"] as const)
  runVaultSuite(`embedded, ${mode}`, async () => {
    const { path, root, dispose } = await makeFolder();
    const vault = await createEmbeddedVault({ path: path("vault.db"), mode, root });
    return {
      vault,
      mode,
      destroying: "keeps",
      dispose: async () => {
        vault[Symbol.dispose]();
        await dispose();
      },
    };
  });

describe("embedded vault", () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>;
  before(async () => {
    folder = await makeFolder();
  });
  after(async () => folder.dispose());

  test("its file is for its owner alone, and nothing else is left beside it", async () => {
    const path = folder.path("alone.db");
    using vault = await createEmbeddedVault({ path, mode: "simulation", root: folder.root });
    assert.equal((await vault.listKeks()).length, 0);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual((await readdir(folder.folder)).sort(), ["alone.db", "root.key"]);
  });

  test("a vault is not made over another file", async () => {
    const path = folder.path("taken.db");
    await writeFile(path, "mine");
    const { root } = folder;
    await refuses("key.vault_exists", createEmbeddedVault({ path, mode: "production", root }));
    assert.equal(readFileSync(path, "utf8"), "mine");
  });

  test("two makers at once make one vault", async () => {
    const path = folder.path("race.db");
    const make = () => createEmbeddedVault({ path, mode: "simulation", root: folder.root });
    const results = await Promise.allSettled([make(), make(), make()]);
    const made = results.filter((result) => result.status === "fulfilled");
    assert.equal(made.length, 1);
    for (const { value } of made) value[Symbol.dispose]();
    assert.deepEqual(
      (await readdir(folder.folder)).filter((name) => name.includes("tmp")),
      [],
    );
  });

  test("a missing vault, a folder and a file of something else are refused", async () => {
    const { root } = folder;
    await refuses("key.vault_missing", openEmbeddedVault({ path: folder.path("none.db"), root }));
    await refuses("key.vault_invalid", openEmbeddedVault({ path: folder.folder, root }));
    const path = folder.path("text.db");
    for (const text of ["", "SQLite format 3\0", "SQLite format 3\0".padEnd(8192, "x"), "hello"]) {
      await writeFile(path, text, { mode: 0o600 });
      await refuses("key.vault_invalid", openEmbeddedVault({ path, root }));
    }
    const other = folder.path("other.db");
    const db = new DatabaseSync(other);
    db.exec("CREATE TABLE vault (id INTEGER)");
    db.close();
    await refuses("key.vault_io", openEmbeddedVault({ path: other, root }));
    await chmod(other, 0o600);
    await refuses("key.vault_invalid", openEmbeddedVault({ path: other, root }));
  });

  test("a closed vault answers nothing", async () => {
    const path = folder.path("closed.db");
    const vault = await createEmbeddedVault({ path, mode: "simulation", root: folder.root });
    vault[Symbol.dispose]();
    vault[Symbol.dispose]();
    await refuses("key.vault_locked", vault.listKeks());
    assert.throws(() => vault.root, { code: "key.vault_locked" });
  });

  test("what one opener changes, the other sees at once; a lost race for a name makes one KEK", async () => {
    const path = folder.path("shared.db");
    const { root } = folder;
    let now = Date.parse("2026-01-02T03:04:05Z");
    const clock = () => now;
    using one = await createEmbeddedVault({ path, mode: "simulation", root, clock });
    using two = await openEmbeddedVault({ path, root, clock });
    const results = await Promise.allSettled(
      [one, two].map((vault) => vault.createKek({ name: "k", kind: "unwrap-only" })),
    );
    assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
    const [kek] = await two.listKeks();
    assert.ok(kek);
    assert.equal(kek.created, "2026-01-02T03:04:05Z");
    now += 60_000;
    const { request } = await wrapped(one, kek.kekId);
    (await two.unwrap(request))[Symbol.dispose]();
    await two.disableKek(kek.kekId);
    await refuses("key.disabled", one.unwrap(request));
    await one.enableKek(kek.kekId);
    const rotations = await Promise.all([one.rotateKek(kek.kekId), two.rotateKek(kek.kekId)]);
    const last = await one.showKek(kek.kekId);
    assert.equal(last.versions.length, 3);
    assert.ok(rotations.some((info) => info.currentVersion === last.currentVersion));
    assert.equal(last.versions[2]?.created, "2026-01-02T03:05:05Z");
  });

  test("the private key of a destroyed version is not in the file any more", async () => {
    const path = folder.path("destroyed.db");
    using vault = await createEmbeddedVault({ path, mode: "simulation", root: folder.root });
    const { kekId, currentVersion } = await vault.createKek({ name: "d", kind: "unwrap-only" });
    const db = new DatabaseSync(path, { readOnly: true });
    const stored = db.prepare("SELECT private_key FROM kek_version").get()?.["private_key"];
    db.close();
    assert.ok(stored instanceof Uint8Array);
    // Any piece of it: SQLite spreads a long value over several pages.
    const pieces = [0, 300, 700, stored.byteLength - 64].map((at) => stored.subarray(at, at + 64));
    const held = () =>
      pieces.filter((piece) => readFileSync(path).includes(Buffer.from(piece))).length;
    assert.equal(held(), pieces.length);
    await vault.rotateKek(kekId);
    assert.equal(held(), pieces.length);
    await vault.destroyKek(kekId, currentVersion);
    assert.equal(held(), 0);
    assert.ok(!(await readdir(folder.folder)).some((name) => name.startsWith("destroyed.db-")));
  });

  test("a vault with a passphrase opens with it alone", async () => {
    const path = folder.path("passphrase.db");
    const root = phrase("correct horse battery");
    await refuses(
      "key.not_permitted",
      createEmbeddedVault({ path, mode: "production", root: phrase("short") }),
    );
    const made = await createEmbeddedVault({ path, mode: "production", root });
    made[Symbol.dispose]();
    await refuses(
      "key.vault_locked",
      openEmbeddedVault({ path, root: phrase("correct horse batterz") }),
    );
    await refuses("key.vault_locked", openEmbeddedVault({ path, root: folder.root }));
    using vault = await openEmbeddedVault({ path, root });
    assert.equal(vault.mode, "production");
    assert.equal(vault.vaultId, made.vaultId);
  });

  test("a vault with a root-key file opens with that file alone", async () => {
    const path = folder.path("file.db");
    const other = await makeFolder();
    try {
      (await createEmbeddedVault({ path, mode: "simulation", root: folder.root }))[
        Symbol.dispose
      ]();
      await refuses("key.vault_locked", openEmbeddedVault({ path, root: other.root }));
      const passphrase = Secret.take(utf8("correct horse battery"));
      await refuses(
        "key.vault_locked",
        openEmbeddedVault({ path, root: { kind: "passphrase", passphrase } }),
      );
      await chmod(other.root.path, 0o644);
      await refuses("key.vault_io", openEmbeddedVault({ path, root: other.root }));
    } finally {
      await other.dispose();
    }
  });

  test("a vault that another process holds is refused after a wait, not for ever", async () => {
    const path = folder.path("busy.db");
    using vault = await createEmbeddedVault({ path, mode: "simulation", root: folder.root });
    const holder = new DatabaseSync(path);
    const waiter = openDatabase(path);
    waiter.exec("PRAGMA busy_timeout = 20"); // the vault's own wait is 10 s
    holder.exec("BEGIN EXCLUSIVE");
    for (const write of [false, true])
      assert.throws(() => inTransaction({ db: waiter, path, write }, () => 1), {
        code: "key.vault_io",
        message: /another process held the vault/,
      });
    holder.exec("ROLLBACK");
    assert.equal(
      inTransaction({ db: waiter, path, write: true }, () => 1),
      1,
    );
    holder.close();
    waiter.close();
    assert.deepEqual(await vault.listKeks(), []);
  });
});

function phrase(text: string): VaultRoot {
  return { kind: "passphrase", passphrase: Secret.take(utf8(text)) };
}
