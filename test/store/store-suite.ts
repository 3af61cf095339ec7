import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { isPpmlError } from "../../src/base/index.ts";
import type { Store } from "../../src/store/index.ts";

/** Bytes of a text. */
export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

/** The whole of an object as text. */
export async function textOf(store: Store, name: string): Promise<string> {
  await using source = await store.source(name);
  return Buffer.from(await source.read(0, source.size)).toString();
}

/** The names that a store lists. */
export async function namesOf(store: Store, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const object of store.list(prefix)) found.push(object.name);
  return found;
}

function* failing(): Generator<Uint8Array> {
  for (let index = 0; index < 40; index += 1) yield new Uint8Array(500_000).fill(7);
  throw new Error("the source broke");
}

/**
 * What every store does, as src/store/store.ts says. `open` gives a store that is empty and another
 * one's for each test.
 */
export function testStore(kind: string, open: () => Promise<Store>): void {
  const check = (name: string, run: (store: Store) => Promise<void>): void => {
    test(`${kind}: ${name}`, async () => run(await open()));
  };

  check("what is put is read again, whole and in ranges", async (store) => {
    const content = new Uint8Array(300_000).map((_, i) => i * 7);
    const { etag, size } = await store.put("folder/object", [
      content.subarray(0, 100),
      new Uint8Array(0),
      content.subarray(100),
    ]);
    assert.equal(size, 300_000);
    assert.deepEqual(await store.head("folder/object"), { name: "folder/object", size, etag });
    await using source = await store.source("folder/object");
    assert.equal(source.etag, etag);
    assert.deepEqual(new Uint8Array(await source.read(0, size)), content);
    assert.deepEqual(new Uint8Array(await source.read(99_999, 5)), content.slice(99_999, 100_004));
    assert.equal((await source.read(size, 0)).byteLength, 0);
    for (const [offset, length] of [
      [size, 1],
      [-1, 1],
      [0, size + 1],
      [0.5, 1],
    ] as const)
      await assert.rejects(source.read(offset, length), { code: "base.out_of_bounds" });
  });

  check("an empty object is an object", async (store) => {
    const { etag } = await store.put("empty", []);
    assert.deepEqual(await store.head("empty"), { name: "empty", size: 0, etag });
    assert.equal(await textOf(store, "empty"), "");
  });

  check(
    "objects of many blocks come back bit for bit, and chunks are recycled once",
    async (store) => {
      const hash = createHash("sha256");
      const recycled = new Set<Uint8Array>();
      function* chunks(): Generator<Uint8Array> {
        for (let index = 0; index < 40; index += 1) {
          const chunk = new Uint8Array(700_001).fill(index);
          hash.update(chunk);
          yield chunk;
        }
      }
      const recycle = (chunk: Uint8Array): void => {
        assert.ok(!recycled.has(chunk));
        recycled.add(chunk);
        // A store that still needed it would store this.
        chunk.fill(255);
      };
      const { size } = await store.put("large", chunks(), { recycle, headBytes: 4096 });
      assert.equal(size, 40 * 700_001);
      assert.equal(recycled.size, 40);
      await using source = await store.source("large");
      const read = createHash("sha256").update(await source.read(0, size));
      assert.equal(read.digest("hex"), hash.digest("hex"));
    },
  );

  check("names that no store has are refused by every method", async (store) => {
    const names = ["", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a\0b", "a\\b", "\ud800"];
    for (const name of [...names, ".ppml-x", "a/.ppml-lock", "x".repeat(256), "y/".repeat(600)])
      for (const attempt of [
        () => store.put(name, [bytes("x")]),
        () => store.head(name),
        () => store.source(name),
        () => store.delete(name),
        () => store.replace(name, { ifMatch: '"x"', parts: [] }),
      ])
        await assert.rejects(attempt, { code: "store.name" }, JSON.stringify(name));
    assert.deepEqual(await namesOf(store), []);
  });

  check("names of all kinds are kept as they are", async (store) => {
    const names = ["a b+c%20&d=e?f#g", "ünï/日本/😀", "'quoted' \"so\"", "a%2fb", "<x>&amp;"];
    for (const name of names) await store.put(name, [bytes(name)]);
    assert.deepEqual(
      await namesOf(store),
      names.toSorted((a, b) => Buffer.compare(bytes(a), bytes(b))),
    );
    for (const name of names) assert.equal(await textOf(store, name), name);
    for (const name of names) await store.delete(name);
    assert.deepEqual(await namesOf(store), []);
  });

  check(
    "objects are listed by their prefix in the order of their bytes, folders are not",
    async (store) => {
      // '.' and '-' come before '/', '0' after it: a folder is not where its name would be.
      const names = [
        "a/b",
        "a/c/d",
        "a.txt",
        "a-1",
        "a0",
        "b",
        "B",
        "é",
        "z/\u{1f600}",
        "z/\uffee",
      ];
      for (const name of names) await store.put(name, [bytes(name)]);
      const ordered = names.toSorted((a, b) => Buffer.compare(bytes(a), bytes(b)));
      assert.deepEqual(await namesOf(store), ordered);
      for (const prefix of ["a", "a/", "a/c", "z/", "nothing", "a/b/"])
        assert.deepEqual(
          await namesOf(store, prefix),
          ordered.filter((name) => name.startsWith(prefix)),
        );
      for await (const object of store.list("a"))
        assert.deepEqual(await store.head(object.name), object);
    },
  );

  check("an object cannot lie where a folder is, or below an object", async (store) => {
    await store.put("folder/object", [bytes("x")]);
    await assert.rejects(store.put("folder", [bytes("y")]), { code: "store.name" });
    await assert.rejects(store.put("folder/object/below", [bytes("y")]), { code: "store.name" });
    assert.equal(await store.head("folder"), null);
    await assert.rejects(store.source("folder"), { code: "store.not_found" });
    assert.deepEqual(await namesOf(store), ["folder/object"]);
  });

  check("what is not there is told as such", async (store) => {
    assert.equal(await store.head("nothing"), null);
    await assert.rejects(store.source("nothing"), { code: "store.not_found" });
    await store.delete("nothing");
    await assert.rejects(store.delete("nothing", { ifMatch: '"x"' }), { code: "store.conflict" });
    await assert.rejects(store.replace("nothing", { ifMatch: '"x"', parts: [] }), {
      code: "store.conflict",
    });
  });

  check("conditions hold: a new object, that very version, or nothing happens", async (store) => {
    const first = await store.put("object", [bytes("first")], { ifNoneMatch: true });
    await assert.rejects(store.put("object", [bytes("x")], { ifNoneMatch: true }), {
      code: "store.exists",
    });
    const second = await store.put("object", [bytes("second")], { ifMatch: first.etag });
    assert.notEqual(second.etag, first.etag);
    await assert.rejects(store.put("object", [bytes("x")], { ifMatch: first.etag }), {
      code: "store.conflict",
    });
    await assert.rejects(store.put("absent", [bytes("x")], { ifMatch: first.etag }), {
      code: "store.conflict",
    });
    await assert.rejects(store.delete("object", { ifMatch: first.etag }), {
      code: "store.conflict",
    });
    assert.equal(await textOf(store, "object"), "second");
    await store.delete("object", { ifMatch: second.etag });
    assert.deepEqual(await namesOf(store), []);
  });

  check(
    "of writers at once under one condition exactly one succeeds, and nothing mixes",
    async (store) => {
      const { etag } = await store.put("object", [bytes("old")]);
      const writers = Array.from({ length: 6 }, (_, i) => String(i).repeat(300_000));
      const done = await Promise.allSettled(
        writers.map((text) => store.put("object", [bytes(text)], { ifMatch: etag })),
      );
      const won = done.flatMap((one, i) => (one.status === "fulfilled" ? [writers[i]] : []));
      assert.equal(won.length, 1);
      for (const one of done)
        assert.ok(one.status === "fulfilled" || isPpmlError(one.reason, "store.conflict"));
      assert.ok((await textOf(store, "object")) === won[0]);
    },
  );

  check("a write whose chunks fail leaves what was there", async (store) => {
    await assert.rejects(store.put("new", failing()), { message: "the source broke" });
    const { etag } = await store.put("object", [bytes("old")]);
    await assert.rejects(store.put("object", failing()), { message: "the source broke" });
    assert.equal((await store.head("object"))?.etag, etag);
    assert.deepEqual(await namesOf(store), ["object"]);
    // What the broken writer left behind is not in the next one's object.
    await store.put("object", [bytes("next")]);
    assert.equal(await textOf(store, "object"), "next");
  });

  check("parts of the old version and new bytes make the new one", async (store) => {
    const old = new Uint8Array(2_500_000).map((_, i) => i * 13);
    const { etag } = await store.put("object", [old], { headBytes: 1000 });
    const parts = [
      { bytes: bytes("new head") },
      { keep: { offset: 1000, length: 2_000_000 } },
      { bytes: bytes("middle") },
      { keep: { offset: 10, length: 20 } },
    ];
    const made = await store.replace("object", { ifMatch: etag, parts });
    const wanted = Buffer.concat([
      bytes("new head"),
      old.subarray(1000, 2_001_000),
      bytes("middle"),
      old.subarray(10, 30),
    ]);
    assert.equal(made.size, wanted.byteLength);
    assert.equal((await store.head("object"))?.etag, made.etag);
    await using source = await store.source("object");
    assert.ok(Buffer.from(await source.read(0, source.size)).equals(wanted));
    await assert.rejects(store.replace("object", { ifMatch: etag, parts }), {
      code: "store.conflict",
    });
    const beyond = [{ keep: { offset: 2_000_000, length: 100_000 } }];
    await assert.rejects(store.replace("object", { ifMatch: made.etag, parts: beyond }), {
      code: "base.out_of_bounds",
    });
    assert.equal((await store.head("object"))?.etag, made.etag);
  });

  check(
    "a new version under another name leaves the old object, and replaces what is there",
    async (store) => {
      const { etag } = await store.put("object", [bytes("0123456789")]);
      for (const keep of [8, 2]) {
        const parts = [{ keep: { offset: 0, length: keep } }, { bytes: bytes("ab") }];
        const { size } = await store.replace("object", { ifMatch: etag, parts, as: "folder/new" });
        assert.equal(size, keep + 2);
        assert.equal(await textOf(store, "folder/new"), `${"0123456789".slice(0, keep)}ab`);
        assert.equal((await store.head("object"))?.etag, etag);
      }
      for (const as of ["../out", "object/below", ""])
        await assert.rejects(
          store.replace("object", { ifMatch: etag, parts: [{ bytes: bytes("x") }], as }),
          { code: "store.name" },
        );
    },
  );
}
