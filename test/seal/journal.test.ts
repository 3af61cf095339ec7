import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, test } from "node:test";
import { toHex } from "../../src/base/index.ts";
import { sealDataset } from "../../src/seal/index.ts";
import type { JournalKey, SealedInput, SealInput, SealJournal } from "../../src/seal/index.ts";
import { openLocalSource, openLocalStore } from "../../src/store/index.ts";
import type { Store } from "../../src/store/index.ts";
import {
  makeScratch,
  makeTestKek,
  OWNER,
  sureAuthority,
  writeParquet,
} from "../compute/fixture.ts";
import { sourceOf } from "../format/parquet/tables.ts";

const scratch = makeScratch();
after(() => scratch[Symbol.dispose]());

const datasetId = toHex(randomBytes(16));
const kek = makeTestKek("vault/people").publicKey;
const groups = [{ name: "all", columns: null, kek }];
const common = { datasetId, name: "people", signer: OWNER, nowMs: Date.UTC(2026, 0, 1) };

function seal(store: Store, inputs: readonly SealInput[], journal?: SealJournal) {
  const plan = { ...common, store, version: 1, groups, inputs, valuesInPaths: "refuse" as const };
  const authority = sureAuthority();
  return sealDataset({ ...plan, authority, ...(journal === undefined ? {} : { journal }) });
}

function input(name: string, plaintext: { etag: string; isBroken?: boolean }): SealInput {
  return {
    name,
    kind: "file",
    open: async () => {
      if (plaintext.isBroken === true) throw new Error("the network is gone");
      const source = sourceOf(new Uint8Array(randomBytes(5000)));
      return { ...source, etag: plaintext.etag, [Symbol.asyncDispose]: async () => undefined };
    },
  };
}

const keyOf = ({ name, kind, plaintext }: JournalKey): string => `${name} ${kind} ${plaintext}`;

function memoryJournal(): SealJournal & { readonly entries: Map<string, SealedInput> } {
  const entries = new Map<string, SealedInput>();
  return {
    entries,
    find: (key) => entries.get(keyOf(key)) ?? null,
    add: async (key, done) => void entries.set(keyOf(key), done),
  };
}

/** A store that counts its puts, and takes a chunk's memory away as soon as it has it. */
function counting(path: string): Store & { readonly puts: string[] } {
  const store = openLocalStore(path);
  const puts: string[] = [];
  return {
    ...store,
    puts,
    putsAtOnce: 3,
    put: async (name, chunks, options) => {
      puts.push(name);
      async function* copied(): AsyncGenerator<Uint8Array, void> {
        for await (const chunk of chunks) {
          const copy = Uint8Array.from(chunk);
          options?.recycle?.(chunk);
          yield copy;
        }
      }
      const { recycle: _, ...rest } = options ?? {};
      return store.put(name, copied(), rest);
    },
  };
}

test("a sealing that is taken up again seals only what was not finished, and is one dataset", async () => {
  const store = counting(join(scratch.path, "again"));
  const journal = memoryJournal();
  const names = ["a", "b", "c", "d", "e"];
  const broken = names.map((name) => input(name, { etag: "1", isBroken: name === "d" }));
  await assert.rejects(seal(store, broken, journal), { message: "the network is gone" });
  const finished = [...store.puts];
  assert.ok(finished.length >= 1 && finished.length < 5);
  const { manifest } = await seal(
    store,
    names.map((name) => input(name, { etag: "1" })),
    journal,
  );
  const again = store.puts.slice(finished.length).filter((name) => name.startsWith("v1/"));
  assert.deepEqual(
    again.sort(),
    names.map((name) => `v1/${name}`).filter((name) => !finished.includes(name)),
  );
  assert.deepEqual(
    manifest.files.map(({ name }) => name),
    names.map((name) => `v1/${name}`),
  );
  // One wrapped local key of each run.
  assert.equal(manifest.localKeys.length, 2);
  for (const file of manifest.files) assert.equal((await store.head(file.name))?.size, file.length);
});

const inputs = (etag: string) => ["a", "b"].map((name) => input(name, { etag }));

test("what changed since, here or in the store, is sealed again", async () => {
  const store = counting(join(scratch.path, "changed"));
  const journal = memoryJournal();
  await seal(store, inputs("1"), journal);
  store.puts.length = 0;
  await seal(store, inputs("2"), journal);
  assert.deepEqual(store.puts.filter((name) => name.startsWith("v1/")).sort(), ["v1/a", "v1/b"]);
  store.puts.length = 0;
  await store.put("v1/a", [new Uint8Array(10)]);
  await store.delete("v1/b");
  store.puts.length = 0;
  await seal(store, inputs("2"), journal);
  assert.deepEqual(store.puts.filter((name) => name.startsWith("v1/")).sort(), ["v1/a", "v1/b"]);
});

test("without a journal, what was stored of a failed sealing is removed", async () => {
  const store = counting(join(scratch.path, "without"));
  const broken = ["a", "b", "c"].map((name) => input(name, { etag: "1", isBroken: name === "c" }));
  await assert.rejects(seal(store, broken), { message: "the network is gone" });
  const names: string[] = [];
  for await (const { name } of store.list("")) names.push(name);
  assert.deepEqual(names, []);
});

test("a table's length is right also where the store takes each chunk's memory at once", async () => {
  const path = join(scratch.path, "people.parquet");
  await writeParquet(path, "SELECT i AS id, 'note ' || i AS note FROM range(3000) t(i)");
  const store = counting(join(scratch.path, "table"));
  const open = () => openLocalSource(path, { name: "people.parquet", followLink: false });
  const { manifest } = await seal(store, [{ name: "people.parquet", kind: "table", open }]);
  const [file] = manifest.files;
  assert.equal((await store.head(file?.name ?? ""))?.size, file?.length);
});
