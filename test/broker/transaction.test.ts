import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { fromHex, isPpmlError } from "../../src/base/index.ts";
import { inclusionProof, leafHash, merkleRoot, verifyInclusion } from "../../src/format/merkle.ts";
import { logHeadSchema } from "../../src/format/protocol.ts";
import { logLeafOf } from "../../src/format/receipt.ts";
import { peekObject, signObject } from "../../src/format/signed-object.ts";
import { loadRootKeyFile } from "../../src/key/root-key.ts";
import { createBrokerState } from "../../src/broker/create.ts";
import { BrokerDatabase } from "../../src/broker/database.ts";
import { LogStore } from "../../src/broker/log-store.ts";
import { createEmbeddedVault } from "../../src/key/embedded/embedded-vault.ts";
import {
  applyPolicy,
  call,
  challenge,
  jobOf,
  logEntries,
  makeFixture,
  newSigningKey,
  NOW_MS,
  policyOf,
  requestOf,
} from "./fixture.ts";
import type { Fixture } from "./fixture.ts";
import { vaultWith } from "./vault-with.ts";

let fixture: Fixture;
before(async () => {
  fixture = await makeFixture();
  await applyPolicy(fixture, policyOf(fixture));
});
after(() => fixture.dispose());

const dbPath = (): string => join(fixture.dir, "broker", "broker.db");

describe("nonce and log entry", () => {
  test("a broker killed between spending the nonce and its log entry did neither", async () => {
    const nonce = await challenge(fixture);
    const { entries } = await logEntries(fixture);
    const child = spawn(
      process.execPath,
      [
        join(import.meta.dirname, "kill-in-transaction.ts"),
        dbPath(),
        nonce,
        String(NOW_MS),
        join(fixture.dir, "root.key"),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const output: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    const [, signal] = (await once(child, "exit")) as [number | null, string | null];
    assert.equal(signal, "SIGKILL");
    assert.equal(Buffer.concat(output).toString(), "spent\n");
    assert.equal((await logEntries(fixture)).entries.length, entries.length);
    const asked = await requestOf(fixture, { nonce });
    const answer = await call(fixture.app, "/v1/release", asked.request);
    assert.equal(answer.status, 200, answer.message);
  });

  test("two brokers on one database, twenty times at once, spend a nonce once", async () => {
    const { app } = await fixture.openAgain();
    const { entries } = await logEntries(fixture);
    const asked = await requestOf(fixture);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        call(index % 2 === 0 ? app : fixture.app, "/v1/release", asked.request),
      ),
    );
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.equal(answers.filter(({ code }) => code === "release.nonce").length, 19);
    assert.equal((await logEntries(fixture)).entries.length, entries.length + 1);
  });

  test("a second broker's entries are in the first one's head", async () => {
    const second = await fixture.openAgain();
    await challenge(fixture);
    const asked = await requestOf(fixture);
    await call(second.app, "/v1/release", asked.request);
    const { entries, head } = await logEntries(fixture);
    const { payload } = peekObject({ kind: "log-head", schema: logHeadSchema, envelope: head });
    assert.equal(payload.size, entries.length);
    const root = merkleRoot(entries.map((entry) => logLeafOf(entry)));
    assert.equal(payload.root, Buffer.from(root).toString("hex"));
  });

  test("a policy replaced while the vault works stops the release", async () => {
    const policy = policyOf(fixture, { name: "race" });
    await applyPolicy(fixture, policy);
    const { vault } = fixture;
    const slow = await fixture.openAgain(
      vaultWith(vault, {
        unwrapAll: async (requests) => {
          const secrets = await vault.unwrapAll(requests);
          await applyPolicy(fixture, { ...policy, version: 2, grants: [] });
          return secrets;
        },
      }),
    );
    const asked = await requestOf(fixture, { job: jobOf(fixture, { policy: "race" }) });
    const answer = await call(slow.app, "/v1/release", asked.request);
    assert.equal(answer.code, "release.policy");
  });
});

describe("the broker's state", () => {
  test("a vault of the other mode is refused", async () => {
    const root = { kind: "file", path: join(fixture.dir, "root.key") } as const;
    const path = join(fixture.dir, "production.db");
    using vault = await createEmbeddedVault({ path, mode: "production", root });
    await assert.rejects(fixture.openAgain(vault), (error) => isPpmlError(error, "key.vault_mode"));
  });

  test("a state is not made over another", async () => {
    using root = await loadRootKeyFile({ path: join(fixture.dir, "root.key") });
    await assert.rejects(
      createBrokerState({
        dir: join(fixture.dir, "broker"),
        kind: { mode: "production", simulationRoot: null },
        owner: fixture.owner.publicJwk,
        root,
        clock: () => NOW_MS,
      }),
      (error) => isPpmlError(error, "broker.state"),
    );
    assert.deepEqual(
      readdirSync(fixture.dir).filter((name) => name.endsWith(".tmp")),
      [],
    );
  });

  test("a state whose making was cut off or failed can be made again, and leaves nothing", async () => {
    using root = await loadRootKeyFile({ path: join(fixture.dir, "root.key") });
    const folder = join(fixture.dir, "again");
    const dir = join(folder, "broker");
    // What a kill in the middle leaves: a folder under a temporary name with some of the keys.
    const left = join(folder, ".broker.0123456789abcdef.tmp");
    mkdirSync(left, { recursive: true });
    writeFileSync(join(left, "release-root.key"), "half");
    const make = (clock: () => number) =>
      createBrokerState({
        dir,
        kind: { mode: "production", simulationRoot: null },
        owner: fixture.owner.publicJwk,
        root,
        clock,
      });
    const failure = new Error("the clock stopped");
    await assert.rejects(
      make(() => {
        throw failure;
      }),
      (error) => error === failure,
    );
    assert.deepEqual(readdirSync(folder), []);
    await make(() => NOW_MS);
    assert.deepEqual(readdirSync(folder), ["broker", "broker.mark"]);
    assert.equal(statSync(dir).mode & 0o777, 0o700);
  });

  test("the release key is renewed before it ends, under the same root", async () => {
    fixture.time.nowMs = NOW_MS + 70 * 86_400_000;
    try {
      const { state } = await fixture.openAgain();
      assert.notEqual(state.releaseKey.key.keyId, fixture.state.releaseKey.key.keyId);
      const again = await fixture.openAgain();
      assert.equal(again.state.releaseKey.key.keyId, state.releaseKey.key.keyId);
    } finally {
      fixture.time.nowMs = NOW_MS;
    }
  });

  test("what is not a broker's database is refused", async () => {
    using root = await loadRootKeyFile({ path: join(fixture.dir, "root.key") });
    const paths = [
      join(fixture.dir, "vault.db"),
      join(fixture.dir, "none.db"),
      join(fixture.dir, "root.key"),
    ];
    for (const path of paths)
      assert.throws(
        () => BrokerDatabase.open(path, root),
        (error) => isPpmlError(error, "broker.state"),
      );
  });

  test("a log entry changed or cut in the database is noticed before a head is signed", async () => {
    const other = await makeFixture();
    try {
      for (const name of ["a", "b", "c"]) await applyPolicy(other, policyOf(other, { name }));
      const { db, logKey } = other.state;
      const run = (sql: string): void => {
        using direct = new DatabaseSync(join(other.dir, "broker", "broker.db"));
        direct.exec(sql);
      };
      run(
        "UPDATE leaves SET envelope = (SELECT envelope FROM leaves WHERE log_index = 0) WHERE log_index = 1",
      );
      assert.throws(
        () => new LogStore(db, logKey).head(NOW_MS),
        (error) => isPpmlError(error, "broker.state"),
      );
      run("DELETE FROM leaves WHERE log_index = 1");
      assert.throws(
        () => new LogStore(db, logKey).head(NOW_MS),
        (error) => isPpmlError(error, "broker.state"),
      );
    } finally {
      await other.dispose();
    }
  });

  test("heads and proofs of every size up to 40 are those of RFC 6962", async () => {
    const other = await makeFixture();
    try {
      const { db, logKey } = other.state;
      const log = new LogStore(db, logKey);
      const signer = newSigningKey();
      const leaves: Uint8Array[] = [];
      for (let size = 1; size <= 40; size += 1) {
        const envelope = signObject("receipt", { size }, signer);
        db.transaction(() => log.append(envelope));
        leaves.push(logLeafOf(envelope));
        const head = peekObject({
          kind: "log-head",
          schema: logHeadSchema,
          envelope: log.head(NOW_MS),
        }).payload;
        assert.equal(head.root, Buffer.from(merkleRoot(leaves)).toString("hex"));
        const hashes = leaves.map((leaf) => leafHash(leaf));
        for (const [index, leaf] of leaves.entries()) {
          const proof = log.prove(index, NOW_MS).hashes.map((hash) => fromHex(hash));
          assert.deepEqual(
            proof,
            inclusionProof(hashes, index).map((hash) => new Uint8Array(hash)),
          );
          verifyInclusion({ leaf, index, size, proof, root: fromHex(head.root) });
        }
      }
      assert.throws(
        () => log.prove(40, NOW_MS),
        (error) => isPpmlError(error, "receipt.log"),
      );
    } finally {
      await other.dispose();
    }
  });
});
