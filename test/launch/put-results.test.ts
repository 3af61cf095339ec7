import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { PpmlError, utf8 } from "../../src/base/index.ts";
import { makeResultSink } from "../../src/launch/put-results.ts";
import { openLocalStore } from "../../src/store/index.ts";
import type { Store } from "../../src/store/index.ts";
import { makeScratch } from "../compute/fixture.ts";

const scratch = makeScratch();
after(() => {
  scratch[Symbol.dispose]();
});

const NAMES = ["v1/a.parquet", "v1/b.parquet"];
let stores = 0;
const newStore = (): Store => openLocalStore(`${scratch.path}/${(stores += 1)}`);

async function listed(store: Store): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list("")) names.push(name);
  return names.sort();
}

test("results that come one after the other are stored under their names", async () => {
  const store = newStore();
  const sink = makeResultSink(store, NAMES);
  for (const [query, text] of [
    [0, "a1"],
    [0, "a2"],
    [1, "b"],
  ] as const)
    await sink.give({ query, bytes: utf8(text) });
  await sink.finish();
  assert.deepEqual(await listed(store), NAMES);
  await using source = await store.source("v1/a.parquet");
  assert.equal(Buffer.from(await source.read(0, source.size)).toString(), "a1a2");
});

test("T162: a worker that leaves a result out, doubles one or gives them out of order is refused, and nothing stays", async () => {
  for (const given of [[], [0], [1], [0, 1, 0], [0, 1, 2]]) {
    const store = newStore();
    const sink = makeResultSink(store, NAMES);
    const run = async (): Promise<void> => {
      for (const query of given) await sink.give({ query, bytes: utf8("x") });
      await sink.finish();
    };
    await assert.rejects(run, { code: "compute.worker" }, String(given));
    await sink.abandon(new Error("refused"));
    assert.deepEqual(await listed(store), [], String(given));
  }
});

test("results of a job that fails in the midst of one are taken back", async () => {
  const store = newStore();
  const sink = makeResultSink(store, NAMES);
  await sink.give({ query: 0, bytes: utf8("a") });
  await sink.give({ query: 1, bytes: utf8("b") });
  assert.deepEqual(await listed(store), ["v1/a.parquet"]);
  await sink.abandon(new Error("the second query failed"));
  assert.deepEqual(await listed(store), []);
});

test("a store that cannot be written ends the job with its own error, before and after it takes bytes", async () => {
  const blocked = `${scratch.path}/file`;
  writeFileSync(blocked, "");
  const full: Store = {
    ...newStore(),
    put: async (_name, chunks) => {
      for await (const _ of chunks) throw new PpmlError("store.io", "the disk is full: /full");
      throw new Error("no bytes came");
    },
  };
  for (const [store, message] of [
    [
      openLocalStore(`${blocked}/store`),
      new RegExp(`the store ${blocked}/store cannot be written`),
    ],
    [full, /the disk is full: \/full/],
  ] as const) {
    const sink = makeResultSink(store, NAMES);
    const give = async (): Promise<void> => {
      for (let part = 0; part < 8; part += 1) await sink.give({ query: 0, bytes: utf8("x") });
    };
    await assert.rejects(give, { code: "store.io", message });
    await assert.rejects(sink.finish(), { code: "store.io", message });
    await sink.abandon(new Error("the store failed"));
  }
  // One byte, so that the failure is met at the end.
  const sink = makeResultSink(full, NAMES.slice(0, 1));
  await sink.give({ query: 0, bytes: utf8("x") }).catch(() => undefined);
  await assert.rejects(sink.finish(), { code: "store.io" });
});
