import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, test } from "node:test";
import { isPpmlError, toHex } from "../../src/base/index.ts";
import { loadManifest } from "../../src/launch/index.ts";
import { acceptManifest, checkListing } from "../../src/open/index.ts";
import { sealDataset } from "../../src/seal/index.ts";
import type { PublishedManifest, SealInput } from "../../src/seal/index.ts";
import { openStore } from "../../src/store/index.ts";
import type { Store } from "../../src/store/index.ts";
import { makeScratch, makeTestKek, OWNER, sureAuthority } from "../compute/fixture.ts";
import { sourceOf } from "../format/parquet/tables.ts";

const scratch = makeScratch();
after(() => {
  scratch[Symbol.dispose]();
});

const datasetId = toHex(randomBytes(16));
const kek = makeTestKek("vault/people").publicKey;

/** An input that calls `meanwhile` when its turn comes: the inputs before it are stored by then. */
function input(name: string, meanwhile: () => Promise<void> = () => Promise.resolve()): SealInput {
  return {
    name,
    kind: "file",
    open: async () => {
      await meanwhile();
      const bytes = new Uint8Array(randomBytes(5000));
      return { ...sourceOf(bytes), [Symbol.asyncDispose]: () => Promise.resolve() };
    },
  };
}

function planFor(store: Store, version: number, inputs: readonly SealInput[]) {
  const groups = [{ name: "all", columns: null, kek }];
  const authority = sureAuthority();
  const common = {
    authority,
    datasetId,
    name: "people",
    signer: OWNER,
    nowMs: Date.UTC(2026, 0, 1),
  };
  return { ...common, valuesInPaths: "refuse", store, version, groups, inputs } as const;
}

const seal = (store: Store, version: number, inputs: readonly SealInput[]) =>
  sealDataset(planFor(store, version, inputs));

const acceptedOf = ({ manifest, digest }: PublishedManifest) => ({ payload: manifest, digest });

async function namesIn(store: Store): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list("")) names.push(name);
  return names;
}

test("T121: a reader that comes while the next version is sealed sees the old one, whole", async () => {
  const store = await openStore(join(scratch.path, "reader"));
  const first = await seal(store, 1, [input("a.bin"), input("b.bin")]);
  const floor = {
    datasetId,
    minVersion: 1,
    minDigest: first.digest,
    signers: [OWNER.publicJwk],
  };
  let reads = 0;
  const read = async (): Promise<void> => {
    const stored = await namesIn(store);
    assert.ok(stored.includes("v2/a.bin"), "the next version is under way");
    const accepted = acceptManifest(await loadManifest(store, null), floor);
    const { payload } = accepted;
    checkListing(accepted, stored);
    for (const file of payload.files) {
      await using source = await store.source(file.name);
      assert.equal(source.size, file.length);
    }
    reads += 1;
  };
  const second = await seal(store, 2, [input("a.bin"), input("b.bin", read), input("c.bin", read)]);
  assert.equal(reads, 2);
  checkListing(acceptedOf(second), await namesIn(store));
});

test("what a sealing that was cut off left of a later version, the sealing of that version removes", async () => {
  const store = await openStore(join(scratch.path, "leftover"));
  await seal(store, 1, [input("a.bin")]);
  await store.put("v2/left.bin", [new Uint8Array(10)]);
  await store.put("v3/other.bin", [new Uint8Array(10)]);
  const second = await seal(store, 2, [input("a.bin")]);
  const stored = await namesIn(store);
  assert.deepEqual(stored, ["manifest.json", "v2/a.bin", "v3/other.bin"]);
  checkListing(acceptedOf(second), stored);
});

test("a plaintext that is not Parquet is named, and nothing of the version stays", async () => {
  const store = await openStore(join(scratch.path, "named"));
  const wrong: SealInput = { ...input("notes.txt"), kind: "table" };
  await assert.rejects(seal(store, 1, [input("a.bin"), wrong]), (error) => {
    assert.ok(isPpmlError(error));
    assert.match(error.message, /^notes\.txt cannot be sealed as a table: /);
    assert.match(String(error.detail["remedy"]), /kind: file/);
    return true;
  });
  assert.deepEqual(await namesIn(store), []);
});

test("T160: a path that holds a value, such as country=DE/part-0, is refused unless the dataset allows it", async () => {
  const store = await openStore(join(scratch.path, "partitions"));
  for (const name of ["country=DE/part-0", "year=2026/country=DE/part-0", "country=DE"])
    await assert.rejects(
      seal(store, 1, [input("plain"), input(name)]),
      (error: unknown) =>
        isPpmlError(error, "seal.plan") && error.message.includes("valuesInPaths"),
      name,
    );
  assert.deepEqual(await namesIn(store), [], "refused before anything is stored");
  const { manifest } = await sealDataset({
    ...planFor(store, 1, [input("country=DE/part-0")]),
    valuesInPaths: "allow",
  });
  assert.equal(manifest.files.length, 1);
});
