import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { openLocalStore } from "../../src/store/index.ts";
import type { Store } from "../../src/store/index.ts";
import { makeScratch } from "../compute/fixture.ts";
import type { Scratch } from "../compute/fixture.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
let scratch: Scratch;
let root: string;
let outside: string;
let store: Store;
beforeEach(() => {
  scratch = makeScratch();
  root = join(scratch.path, "store");
  outside = join(scratch.path, "outside");
  for (const folder of [root, outside]) mkdirSync(folder);
  writeFileSync(join(outside, "secret"), "outside");
  store = openLocalStore(root);
});
afterEach(() => {
  scratch[Symbol.dispose]();
});

/** All that is below the store's root but its lock. */
const stored = (): string[] =>
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.startsWith(".ppml-lock"))
    .sort();

async function textOf(name: string): Promise<string> {
  await using source = await store.source(name);
  return Buffer.from(await source.read(0, source.size)).toString();
}

async function names(prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const object of store.list(prefix)) found.push(object.name);
  return found;
}

describe("symbolic links", () => {
  test("a link in an object's place is neither read, written through, listed nor deleted", async () => {
    const target = join(outside, "secret");
    symlinkSync(target, join(root, "link"));
    for (const attempt of [
      () => store.source("link"),
      () => store.head("link"),
      () => store.put("link", [bytes("new")]),
      () => store.put("link", [bytes("new")], { ifNoneMatch: true }),
      () => store.delete("link"),
      () => store.replace("link", { ifMatch: '"x"', parts: [{ bytes: bytes("new") }] }),
    ])
      await assert.rejects(attempt, { code: "store.name" });
    assert.deepEqual(await names(), []);
    assert.equal(readFileSync(target, "utf8"), "outside");
    assert.deepEqual(stored(), ["link"]);
  });

  test("a link in a folder's place leads neither reads nor writes out of the store", async () => {
    symlinkSync(outside, join(root, "folder"));
    for (const attempt of [
      () => store.source("folder/secret"),
      () => store.head("folder/secret"),
      () => store.put("folder/new", [bytes("new")]),
      () => store.put("folder/deep/new", [bytes("new")]),
      () => store.delete("folder/secret"),
    ])
      await assert.rejects(attempt, { code: "store.name" });
    assert.deepEqual(await names(), []);
    assert.deepEqual(readdirSync(outside), ["secret"]);
  });

  test("a link to a file of the same store, and a dangling one, are refused too", async () => {
    await store.put("real", [bytes("real")]);
    symlinkSync(join(root, "real"), join(root, "same"));
    symlinkSync(join(root, "nothing"), join(root, "dangling"));
    for (const name of ["same", "dangling"]) {
      await assert.rejects(store.source(name), { code: "store.name" });
      await assert.rejects(store.put(name, [bytes("x")]), { code: "store.name" });
    }
    assert.deepEqual(await names(), ["real"]);
    assert.equal(existsSync(join(root, "nothing")), false);
  });

  test("a link that comes while an object is written is not written through", async () => {
    const target = join(outside, "secret");
    function* chunks(): Generator<Uint8Array> {
      yield bytes("new ");
      symlinkSync(target, join(root, "object"));
      yield bytes("content");
    }
    await assert.rejects(store.put("object", chunks()), { code: "store.name" });
    assert.equal(readFileSync(target, "utf8"), "outside");
    assert.deepEqual(stored(), ["object"]);
  });

  test("names that leave the root, or that are the store's own, are refused", async () => {
    for (const name of ["../secret", "/etc/passwd", "a/../../b", "a//b", "", ".", ".ppml-lock"]) {
      await assert.rejects(store.source(name), { code: "store.name" }, name);
      await assert.rejects(store.put(name, [bytes("x")]), { code: "store.name" }, name);
    }
    assert.deepEqual(stored(), []);
  });
});

function* failing(): Generator<Uint8Array> {
  for (let index = 0; index < 40; index += 1) yield new Uint8Array(100_000).fill(7);
  throw new Error("the source broke");
}

describe("half-written files", () => {
  test("a write whose chunks fail leaves no object and no temporary file", async () => {
    await assert.rejects(store.put("folder/new", failing()), { message: "the source broke" });
    assert.deepEqual(stored(), ["folder"]);
  });

  test("a write over an object whose chunks fail leaves the old object whole", async () => {
    const { etag } = await store.put("object", [bytes("old")]);
    await assert.rejects(store.put("object", failing()), { message: "the source broke" });
    assert.equal(await textOf("object"), "old");
    assert.equal((await store.head("object"))?.etag, etag);
    assert.deepEqual(stored(), ["object"]);
  });

  test("an object being written is seen by nobody, under its name or in a list", async () => {
    let seen: readonly string[] = ["not asked"];
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(2_000_000);
      seen = await names();
      assert.equal(await store.head("object"), null);
      yield bytes("end");
    }
    await store.put("object", slow());
    assert.deepEqual(seen, []);
    assert.deepEqual(await names(), ["object"]);
  });

  test("a new version that fails or comes too late changes nothing", async () => {
    const { etag } = await store.put("object", [bytes("0123456789")]);
    const parts = [{ keep: { offset: 0, length: 8 } }, { bytes: bytes("ab") }];
    const beyond = [{ keep: { offset: 5, length: 6 } }];
    await assert.rejects(store.replace("object", { ifMatch: etag, parts: beyond }), {
      code: "base.out_of_bounds",
    });
    await store.put("object", [bytes("other")]);
    await assert.rejects(store.replace("object", { ifMatch: etag, parts }), {
      code: "store.conflict",
    });
    await assert.rejects(store.put("object", [bytes("x")], { ifNoneMatch: true }), {
      code: "store.exists",
    });
    await assert.rejects(store.replace("object", { ifMatch: etag, parts, as: "folder/new" }), {
      code: "store.conflict",
    });
    assert.equal(await textOf("object"), "other");
    assert.deepEqual(await names(), ["object"]);
  });

  test("deleting an object removes the folders that it leaves empty, and no others", async () => {
    await store.put("a/b/c", [bytes("1")]);
    await store.put("a/d", [bytes("2")]);
    await store.delete("a/b/c");
    assert.deepEqual(await names(), ["a/d"]);
    assert.ok(!stored().includes("a/b"));
    await store.delete("a/d");
    assert.ok(!stored().includes("a"));
    assert.equal(await store.head("a/d"), null);
  });

  test("a new version under another name leaves the old object as it is, and replaces what is there", async () => {
    for (const keep of [8, 2]) {
      const { etag } = await store.put("object", [bytes("0123456789")]);
      const parts = [{ keep: { offset: 0, length: keep } }, { bytes: bytes("ab") }];
      const { size } = await store.replace("object", { ifMatch: etag, parts, as: "folder/new" });
      assert.equal(size, keep + 2);
      assert.equal(await textOf("folder/new"), `${"0123456789".slice(0, keep)}ab`);
      assert.equal(await textOf("object"), "0123456789");
      assert.equal((await store.head("object"))?.etag, etag);
    }
    const { etag } = await store.put("object", [bytes("0123456789")]);
    const parts = [{ keep: { offset: 0, length: 8 } }];
    for (const as of ["../out", "object/below", ""])
      await assert.rejects(store.replace("object", { ifMatch: etag, parts, as }), {
        code: "store.name",
      });
  });

  test("a store that cannot be written says so before anything is put, with its path", async () => {
    await store.checkPut?.();
    await openLocalStore(join(root, "not/made/yet")).checkPut?.();
    assert.deepEqual(stored(), []);
    writeFileSync(join(outside, "file"), "");
    const below = join(outside, "file", "store");
    const message = new RegExp(`the store ${below} cannot be written: ENOTDIR`);
    for (const attempt of [
      () => openLocalStore(below).checkPut?.(),
      () => openLocalStore(below).put("object", [bytes("x")]),
    ])
      await assert.rejects(async () => attempt(), { code: "store.io", message });
    await assert.rejects(async () => openLocalStore(join(outside, "file")).checkPut?.(), {
      code: "store.name",
      message: /is a file, expected a folder/,
    });
  });

  test("a writer that is killed leaves the old object, and its leftover goes later", async () => {
    await store.put("object", [bytes("old")]);
    const module = join(import.meta.dirname, "../../src/store/index.ts");
    const code = `
      import { openLocalStore } from ${JSON.stringify(module)};
      async function* chunks() {
        for (let i = 0; i < 4; i++) yield new Uint8Array(1_000_000).fill(1);
        console.log("half");
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      }
      await openLocalStore(${JSON.stringify(root)}).put("object", chunks());`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.equal(await textOf("object"), "old");
    assert.deepEqual(await names(), ["object"]);
    const leftover = stored().find((name) => name.startsWith(".ppml-tmp-"));
    assert.ok(leftover !== undefined, "the kill came while there was a temporary file");
    const path = join(root, leftover);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    // Another writer that begins a day later clears it away.
    const old = Date.now() / 1000 - 2 * 86_400;
    utimesSync(path, old, old);
    await openLocalStore(root).put("other", [bytes("x")]);
    assert.equal(existsSync(path), false);
  });

  test("an open source keeps the version that it opened, whatever comes in its place", async () => {
    await store.put("object", [bytes("first")]);
    await using source = await store.source("object");
    await store.put("object", [bytes("other")]);
    assert.equal(Buffer.from(await source.read(0, 5)).toString(), "first");
    rmSync(join(root, "object"));
    renameSync(join(outside, "secret"), join(root, "object"));
    linkSync(join(root, "object"), join(root, "hard"));
    assert.equal(Buffer.from(await source.read(0, 5)).toString(), "first");
  });
});
