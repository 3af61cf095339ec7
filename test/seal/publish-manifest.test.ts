import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { PpmlError, toHex } from "../../src/base/index.ts";
import type { ErrorCode } from "../../src/base/index.ts";
import type { ManifestFloor } from "../../src/format/grant.ts";
import { manifestRoot, pendingManifestName } from "../../src/format/manifest.ts";
import type { Manifest } from "../../src/format/manifest.ts";
import { envelopeDigest, signObject } from "../../src/format/signed-object.ts";
import { loadManifest } from "../../src/launch/index.ts";
import { acceptManifest, checkListing } from "../../src/open/index.ts";
import { publishManifest, settleManifest } from "../../src/seal/index.ts";
import type { ManifestAuthority } from "../../src/seal/index.ts";
import { openStore } from "../../src/store/index.ts";
import type { Store } from "../../src/store/index.ts";
import { makeScratch, OWNER } from "../compute/fixture.ts";

const scratch = makeScratch();
after(() => {
  scratch[Symbol.dispose]();
});

const datasetId = toHex(randomBytes(16));

/** A dataset's floor as the broker keeps it: it rises by one at a time, to one manifest. */
function makeBroker() {
  const signers = [OWNER.publicJwk];
  let floor: ManifestFloor = { datasetId, minVersion: 0, minDigest: null, signers };
  const authority: ManifestAuthority = {
    accept: async ({ manifest, digest }) => {
      if (manifest.version !== floor.minVersion + 1)
        throw new PpmlError("broker.floor", "another one of that version was accepted");
      floor = { ...floor, minVersion: manifest.version, minDigest: digest };
      return Promise.resolve();
    },
    pinned: () => Promise.resolve(floor.minDigest),
  };
  return { authority, floor: () => floor };
}
type Broker = ReturnType<typeof makeBroker>;

const fileOf = (version: number, name: string) => `v${version}/${name}`;

function manifestOf(version: number, name = "a.bin"): Manifest {
  const entry = (file: string) => ({
    name: fileOf(version, file),
    kind: "file" as const,
    fileId: toHex(randomBytes(16)),
    length: 3,
    size: 3,
    digest: "ab".repeat(32),
  });
  const files = [entry(name), entry(`other-${name}`)];
  return {
    v: 1,
    datasetId,
    name: "people",
    version,
    createdAt: "2026-01-01T00:00:00Z",
    files,
    localKeys: [],
    groups: [{ name: "all", kekId: "vault/one", columns: null }],
    schema: null,
    merkleRoot: manifestRoot(files),
  };
}

async function publish(store: Store, broker: Broker, manifest: Manifest): Promise<void> {
  for (const { name } of manifest.files) await store.put(name, [new Uint8Array(3)]);
  await publishManifest({ store, manifest, signer: OWNER, authority: broker.authority });
}

/** What a reader inside a TEE does that only knows the floor; gives the version that it accepts. */
async function read(store: Store, broker: Broker): Promise<number> {
  const floor = broker.floor();
  const accepted = acceptManifest(await loadManifest(store, floor), floor);
  checkListing(accepted, await namesIn(store));
  return accepted.payload.version;
}

async function namesIn(store: Store): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list("")) names.push(name);
  return names;
}

let stores = 0;
function newStore(): Promise<Store> {
  stores += 1;
  return openStore(join(scratch.path, String(stores)));
}

/** The store until its nth change: that one and whatever comes later does not happen any more. */
function dyingAt(store: Store, change: number) {
  let changes = 0;
  const count = (): void => {
    changes += 1;
    if (changes >= change) throw new PpmlError("store.io", "killed");
  };
  const dying: Store = {
    ...store,
    put: async (...args) => (count(), store.put(...args)),
    delete: async (...args) => (count(), store.delete(...args)),
  };
  return { dying, changes: () => changes };
}

const settle = (store: Store, broker: Broker) =>
  settleManifest({ store, floor: broker.floor(), pinned: broker.authority.pinned });

describe("T123: a publication that is cut off", () => {
  test("leaves the old version or the new one readable at each of its steps, and the next settling finishes it", async () => {
    const versions: number[] = [];
    for (let change = 1; ; change += 1) {
      const [store, broker] = [await newStore(), makeBroker()];
      await publish(store, broker, manifestOf(1));
      const { dying, changes } = dyingAt(store, change);
      const ended = await publish(dying, broker, manifestOf(2)).then(
        () => true,
        () => false,
      );
      assert.equal(ended, changes() < change);
      const version = await read(store, broker);
      assert.equal(version, broker.floor().minVersion);
      versions.push(version);
      await settle(store, broker);
      assert.equal(await read(store, broker), version);
      await publish(store, broker, manifestOf(version + 1));
      assert.equal(await read(store, broker), version + 1);
      assert.deepEqual(await namesIn(store), [
        "manifest.json",
        fileOf(version + 1, "a.bin"),
        fileOf(version + 1, "other-a.bin"),
      ]);
      if (ended) break;
    }
    // Two files, the pending name; from its acceptance on: the place, two old files, the pending name.
    assert.deepEqual(versions, [1, 1, 1, 2, 2, 2, 2, 2]);
  });

  test("before the broker accepted its manifest is nobody's: a pending manifest is not taken, whoever signed it", async () => {
    const [store, broker] = [await newStore(), makeBroker()];
    await publish(store, broker, manifestOf(1));
    const waiting = signObject("manifest", manifestOf(2), OWNER);
    const name = pendingManifestName({ version: 2, digest: envelopeDigest(waiting) });
    await store.put(name, [Buffer.from(JSON.stringify(waiting))]);
    assert.equal(await settle(store, broker), false);
    assert.equal(await read(store, broker), 1);
  });
});

test("T124: what lies under the accepted manifest's pending name is taken only with its digest and signature", async () => {
  const [store, broker] = [await newStore(), makeBroker()];
  await publish(store, broker, manifestOf(1));
  const { minVersion: version, minDigest } = broker.floor();
  const name = pendingManifestName({ version, digest: minDigest ?? "" });
  const good = await loadManifest(store, null);
  const other = signObject("manifest", manifestOf(1, "b.bin"), OWNER);
  const [signature] = good.signatures;
  const unsigned = { ...good, signatures: [{ ...signature, sig: other.signatures[0]?.sig }] };
  for (const planted of [other, unsigned, { payload: 1 }, "text"]) {
    await store.put(name, [Buffer.from(JSON.stringify(planted))]);
    assert.equal(await settle(store, broker), false);
    assert.deepEqual(await loadManifest(store, broker.floor()), good);
  }
});

test("of two publications of one version the one that the broker refuses leaves no manifest", async () => {
  const [store, broker] = [await newStore(), makeBroker()];
  await publish(store, broker, manifestOf(1));
  const won = manifestOf(2, "won.bin");
  const lost = publishManifest({
    store,
    manifest: manifestOf(2, "lost.bin"),
    signer: OWNER,
    authority: {
      ...broker.authority,
      accept: async (published) => {
        await publish(store, broker, won);
        await broker.authority.accept(published);
      },
    },
  });
  await assert.rejects(lost, { code: "broker.floor" });
  assert.equal(await read(store, broker), 2);
  assert.deepEqual(
    (await namesIn(store)).filter((name) => name.startsWith("manifest")),
    ["manifest.json"],
  );
});

test("a publication that was overtaken after its acceptance does not write over the newer one", async () => {
  const [store, broker] = [await newStore(), makeBroker()];
  await publish(store, broker, manifestOf(1));
  await publishManifest({
    store,
    manifest: manifestOf(2),
    signer: OWNER,
    authority: {
      accept: async (published) => {
        await broker.authority.accept(published);
        await publish(store, broker, manifestOf(3));
      },
      pinned: broker.authority.pinned,
    },
  });
  assert.equal(await read(store, broker), 3);
});

test("where it is not known whether the broker accepted, the pending manifest stays", async () => {
  for (const code of ["broker.unavailable", "base.internal"] satisfies ErrorCode[]) {
    const [store, broker] = [await newStore(), makeBroker()];
    await publish(store, broker, manifestOf(1));
    const manifest = manifestOf(2);
    for (const { name } of manifest.files) await store.put(name, [new Uint8Array(3)]);
    const unknown = publishManifest({
      store,
      manifest,
      signer: OWNER,
      authority: {
        ...broker.authority,
        accept: async (published) => {
          await broker.authority.accept(published);
          throw new PpmlError(code, "no answer");
        },
      },
    });
    await assert.rejects(unknown, { code });
    assert.equal(await read(store, broker), 2);
  }
});
