import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PpmlError, readBoundedFile } from "../../src/base/index.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "ppml-file-"));
});
after(() => rmSync(folder, { recursive: true }));

const read = (path: string, maxBytes = 1000) =>
  readBoundedFile(path, { what: `the thing ${path}`, maxBytes, code: "config.invalid" });

const refuses = (path: string, why: RegExp, maxBytes?: number) =>
  assert.rejects(read(path, maxBytes), (error: unknown) => {
    assert.ok(error instanceof PpmlError);
    assert.equal(error.code, "config.invalid");
    assert.ok(error.message.startsWith(`the thing ${path} cannot be read: `), error.message);
    assert.match(error.message, why);
    return true;
  });

test("a file up to its bound is read whole, also through symbolic links", async () => {
  const path = join(folder, "file");
  for (const length of [0, 1, 999, 1000]) {
    writeFileSync(path, new Uint8Array(length).fill(7));
    assert.deepEqual(await read(path), new Uint8Array(length).fill(7));
  }
  symlinkSync(path, join(folder, "link"));
  assert.equal((await read(join(folder, "link"))).byteLength, 1000);
  appendFileSync(path, "x");
  await refuses(path, /longer than 1000 bytes/);
});

test("a file of several reads comes whole", async () => {
  const bytes = Uint8Array.from({ length: 300_001 }, (_, index) => index % 251);
  const path = join(folder, "long");
  writeFileSync(path, bytes);
  assert.deepEqual(await read(path, 300_001), bytes);
});

test("a sparse file of 5 GB is refused by its size", async () => {
  const path = join(folder, "sparse");
  const file = openSync(path, "w");
  ftruncateSync(file, 5 * 2 ** 30);
  closeSync(file);
  await refuses(path, /longer than 1000 bytes/);
});

test("a file whose size says nothing is bounded all the same", async () => {
  // Linux gives the files of /proc the size 0.
  if (process.platform !== "linux") return;
  assert.ok((await read("/proc/self/status", 100_000)).byteLength > 100);
  await refuses("/proc/self/status", /longer than 100 bytes/, 100);
});

test("folders, devices without end, pipes and sockets are refused before they are opened", async () => {
  mkdirSync(join(folder, "folder"));
  await refuses(join(folder, "folder"), /it is a folder, not a file/);
  await refuses("/dev/zero", /it is a device, not a file/);
  const pipe = join(folder, "pipe");
  assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
  await refuses(pipe, /it is a pipe, not a file/);
  const server = createServer();
  const socket = join(folder, "socket");
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  await refuses(socket, /it is a socket, not a file/);
  await new Promise((resolve) => server.close(resolve));
});

test("what is missing, goes in circles or is no path is told", async () => {
  await refuses(join(folder, "none"), /there is no such file/);
  symlinkSync(join(folder, "b"), join(folder, "a"));
  symlinkSync(join(folder, "a"), join(folder, "b"));
  await refuses(join(folder, "a"), /go in circles/);
  await refuses(`${folder}\0x`, /zero byte/);
  await refuses(join(folder, "file", "below"), /ENOTDIR/);
});

test("a caller's remedy goes with the refusal", async () => {
  const options = {
    what: "the thing",
    maxBytes: 1,
    code: "config.invalid",
    remedy: "make it",
  } as const;
  await assert.rejects(readBoundedFile(join(folder, "none"), options), {
    detail: { remedy: "make it" },
  });
});
