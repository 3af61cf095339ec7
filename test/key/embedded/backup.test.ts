import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, readdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { Secret, utf8 } from "../../../src/base/index.ts";
import {
  createEmbeddedVault,
  createRootKeyFile,
  openEmbeddedVault,
  restoreVaultFile,
} from "../../../src/key/index.ts";
import { failureOf, hexOf, refuses, SUITE_POLICY, wrapped } from "../suite.ts";
import { makeFolder } from "./fixture.ts";

const CHILD = fileURLToPath(new URL("restore-child.ts", import.meta.url));

describe("backup of the embedded vault", () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>;
  before(async () => {
    folder = await makeFolder();
  });
  after(async () => folder.dispose());

  const open = (name: string) => openEmbeddedVault({ path: folder.path(name), root: folder.root });
  const make = (name: string, mode: "simulation" | "production" = "production") =>
    createEmbeddedVault({ path: folder.path(name), mode, root: folder.root });

  test("a lost vault comes back as it was, with all keys, under its own root key", async () => {
    let bytes: Uint8Array;
    let before1: Awaited<ReturnType<typeof wrapped>>;
    let keks: unknown;
    {
      using vault = await make("lost.db");
      const kek = await vault.createKek({ name: "a", kind: "unwrap-only", purpose: "für 東京" });
      await vault.createKek({ name: "e", kind: "exportable", releasePolicy: SUITE_POLICY });
      before1 = await wrapped(vault, kek.kekId);
      bytes = vault.backup();
      keks = await vault.listKeks();
      assert.notDeepEqual(vault.backup(), bytes);
    }
    await rm(folder.path("lost.db"));
    const options = { path: folder.path("lost.db"), root: folder.root, bytes };
    await restoreVaultFile({ ...options, mode: "production" });
    using vault = await open("lost.db");
    assert.deepEqual(await vault.listKeks(), keks);
    using secret = await vault.unwrap(before1.request);
    assert.equal(hexOf(secret), before1.hex);
    assert.ok(!readdirSync(folder.folder).some((name) => name.endsWith(".tmp")));
  });

  test("T272: what was destroyed, disabled or made since is told before it is put back", async () => {
    using vault = await make("older.db");
    const kept = await vault.createKek({ name: "kept", kind: "unwrap-only" });
    const gone = await vault.createKek({ name: "gone", kind: "unwrap-only" });
    const { request, hex } = await wrapped(vault, gone.kekId);
    const bytes = vault.backup();
    await vault.destroyKek(gone.kekId);
    await vault.disableKek(kept.kekId);
    await vault.rotateKek((await vault.enableKek(kept.kekId)).kekId);
    await vault.disableKek(kept.kekId);
    const changes = vault.compareBackup(bytes);
    assert.deepEqual(changes.revived, ["KEK gone", "version 1 of KEK gone"]);
    assert.deepEqual(changes.enabled, ["KEK kept"]);
    assert.deepEqual(changes.lost, ["version 2 of KEK kept"]);
    assert.ok(changes.revision > changes.backupRevision);
    using other = await open("older.db");
    assert.equal((await other.showKek(gone.kekId)).state, "destroyed");
    vault.restore(bytes);
    // Another process that has the vault open sees it at once.
    assert.equal((await other.showKek(gone.kekId)).state, "enabled");
    using secret = await vault.unwrap(request);
    assert.equal(hexOf(secret), hex);
    assert.equal((await vault.showKek(kept.kekId)).versions.length, 1);
    // The revision does not go back: who remembers it sees that something happened.
    const db = new DatabaseSync(folder.path("older.db"), { readOnly: true });
    const revision = Number(db.prepare("SELECT revision FROM vault").get()?.["revision"]);
    db.close();
    assert.ok(revision > changes.revision, `${revision} > ${changes.revision}`);
  });

  test("T273: a backup of another vault, mode or root key is refused, and nothing changes", async () => {
    using vault = await make("mine.db");
    await vault.createKek({ name: "a", kind: "unwrap-only" });
    const keks = await vault.listKeks();
    using other = await make("theirs.db");
    await refuses(
      "key.backup",
      attempt(() => vault.restore(other.backup())),
    );
    using simulated = await make("sim.db", "simulation");
    const failure = await failureOf(attempt(() => vault.restore(simulated.backup())));
    assert.match(failure.message, /for simulation, and this one is .* for production/);
    assert.deepEqual(await vault.listKeks(), keks);

    const path = folder.path("new.db");
    const good = { path, root: folder.root, bytes: vault.backup(), mode: "production" } as const;
    const restore = (options: Partial<Parameters<typeof restoreVaultFile>[0]>) =>
      restoreVaultFile({ ...good, ...options });
    await refuses("key.vault_mode", restore({ mode: "simulation" }));
    const root = { kind: "file", path: folder.path("second-root.key") } as const;
    await createRootKeyFile({ path: root.path });
    await refuses("key.vault_locked", restore({ root }));
    const passphrase = {
      kind: "passphrase",
      passphrase: Secret.take(utf8("correct horse")),
    } as const;
    await refuses("key.vault_locked", restore({ root: passphrase }));
    await refuses("key.vault_exists", restore({ path: folder.path("mine.db") }));
    assert.ok(!readdirSync(folder.folder).some((name) => /^new\.db|\.tmp$/.test(name)));
  });

  test("T273: a backup with any byte changed, or cut anywhere, is refused", async () => {
    using vault = await make("changed.db");
    await vault.createKek({ name: "a", kind: "unwrap-only" });
    const bytes = vault.backup();
    const keks = await vault.listKeks();
    const property = fc.asyncProperty(
      fc.nat(bytes.byteLength - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (at, mask, cut) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ mask;
        const bad = cut ? bytes.subarray(0, at) : changed;
        await refuses(
          "key.backup",
          attempt(() => vault.restore(bad)),
        );
        await assert.rejects(
          restoreVaultFile({
            path: folder.path("never.db"),
            root: folder.root,
            bytes: bad,
            mode: "production",
          }),
          { code: /^key\.(?:backup|vault_locked|vault_mode|vault_invalid)$/ },
        );
      },
    );
    await fc.assert(property, { numRuns: 300 });
    await refuses(
      "key.backup",
      attempt(() => vault.restore(utf8("no"))),
    );
    assert.deepEqual(await vault.listKeks(), keks);
    assert.ok(!readdirSync(folder.folder).includes("never.db"));
  });

  test("T275: a restore that is killed at any moment leaves the one state or the other, whole", async () => {
    const states: string[] = [];
    {
      using vault = await make("killed.db");
      const kek = await vault.createKek({ name: "a", kind: "unwrap-only" });
      writeFileSync(folder.path("one.backup"), vault.backup());
      states.push(JSON.stringify(await vault.listKeks()));
      await vault.destroyKek(kek.kekId);
      writeFileSync(folder.path("two.backup"), vault.backup());
      states.push(JSON.stringify(await vault.listKeks()));
    }
    const files = ["killed.db", "root.key", "one.backup", "two.backup"].map(folder.path);
    for (let round = 0; round < 6; round += 1) {
      const child = spawn(process.execPath, [CHILD, ...files], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const exited = once(child, "exit");
      await once(child.stdout, "data");
      await setTimeout(1 + Math.random() * 60);
      child.kill("SIGKILL");
      await exited;
      using vault = await open("killed.db");
      assert.ok(states.includes(JSON.stringify(await vault.listKeks())));
    }
  });

  test("T274: the release policy of a KEK cannot be changed in the file", async () => {
    {
      using vault = await make("policy.db");
      await vault.createKek({ name: "e", kind: "exportable", releasePolicy: SUITE_POLICY });
    }
    for (const set of [
      `release_policy = replace(release_policy, 'azure-compliant-cvm', 'anything')`,
      "release_policy = NULL",
      "kind = 'unwrap-only', release_policy = NULL",
    ]) {
      copyFileSync(folder.path("policy.db"), folder.path("copy.db"));
      const db = new DatabaseSync(folder.path("copy.db"));
      db.exec(`UPDATE kek SET ${set}`);
      db.close();
      await refuses("key.vault_invalid", open("copy.db"));
    }
  });
});

async function attempt(work: () => void): Promise<void> {
  work();
}
