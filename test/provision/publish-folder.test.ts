import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { prepareFolder, publishFolder } from "../../src/provision/publish-folder.ts";
import { fileSink } from "../../src/provision/secret-sink.ts";
import { temporaryFolder } from "../cli/ppml.ts";
import { secretOf } from "./bytes.ts";

const NAMES = ["a", "b", "c"];

function content(path: string, text: string, replace = false) {
  const files = new Map(NAMES.map((name) => [name, secretOf(text)]));
  return { path, files, ownNames: NAMES, replace };
}

/** The one text that all files of the folder have. */
function textIn(path: string): string {
  assert.deepEqual(readdirSync(path).sort(), NAMES);
  const texts = new Set(NAMES.map((name) => readFileSync(join(path, name), "utf8")));
  assert.equal(texts.size, 1, [...texts].join(" and "));
  return [...texts].join("");
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

/** With the umask of someone who protects nothing. */
function withoutUmask(context: TestContext): void {
  const before = process.umask(0);
  context.after(() => process.umask(before));
}

test("T202: folder and files are the owner's alone, whatever the umask is", async (context) => {
  withoutUmask(context);
  const path = join(temporaryFolder(context), "keys");
  await publishFolder(content(path, "one"));
  assert.equal(modeOf(path), "700");
  for (const name of NAMES) assert.equal(modeOf(join(path, name)), "600");
  const file = join(path, "file");
  for (const replace of [false, true]) {
    await fileSink({ path: file, replace }).put("key-pass", secretOf("x"));
    assert.equal(modeOf(file), "600");
  }
});

test("T204: a folder is not written over unless that is said, and then as a whole", async (context) => {
  const path = join(temporaryFolder(context), "keys");
  await publishFolder(content(path, "one"));
  await assert.rejects(publishFolder(content(path, "two")), { code: "provision.exists" });
  assert.equal(textIn(path), "one");
  await publishFolder(content(path, "two", true));
  assert.equal(textIn(path), "two");
  assert.deepEqual(readdirSync(join(path, "..")), ["keys"]);
});

test("T204: a file is not written over unless that is said", async (context) => {
  const path = join(temporaryFolder(context), "key");
  await fileSink({ path, replace: false }).put("key-pass", secretOf("one"));
  const again = fileSink({ path, replace: false }).put("key-pass", secretOf("two"));
  await assert.rejects(again, { code: "provision.exists" });
  assert.equal(readFileSync(path, "utf8"), "one");
  await fileSink({ path, replace: true }).put("key-pass", secretOf("three"));
  assert.equal(readFileSync(path, "utf8"), "three");
  assert.deepEqual(readdirSync(join(path, "..")), ["key"]);
});

test("T204: a folder with a file of somebody else is never replaced", async (context) => {
  const path = join(temporaryFolder(context), "keys");
  await publishFolder(content(path, "one"));
  writeFileSync(join(path, "thesis.txt"), "ten years");
  await assert.rejects(publishFolder(content(path, "two", true)), {
    code: "provision.exists",
    message: /holds "thesis.txt"/,
  });
  assert.equal(readFileSync(join(path, "thesis.txt"), "utf8"), "ten years");
  assert.equal(readFileSync(join(path, "a"), "utf8"), "one");
});

test("T204: a link or a file in the folder's place is refused, and what it leads to is left", async (context) => {
  const folder = temporaryFolder(context);
  const [link, file, target] = ["link", "file", "target"].map((name) => join(folder, name));
  assert.ok(link !== undefined && file !== undefined && target !== undefined);
  mkdirSync(target);
  symlinkSync(target, link);
  writeFileSync(file, "");
  for (const path of [link, file])
    for (const replace of [false, true])
      await assert.rejects(publishFolder(content(path, "x", replace)), {
        code: "provision.exists",
        message: /is not a folder/,
      });
  assert.deepEqual(readdirSync(target), []);
});

test("an empty folder is taken, missing parents are made", async (context) => {
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, "empty"));
  await publishFolder(content(join(folder, "empty"), "one"));
  assert.equal(textIn(join(folder, "empty")), "one");
  assert.equal(modeOf(join(folder, "empty")), "700");
  await publishFolder(content(join(folder, "x", "y", "keys"), "one"));
  assert.equal(textIn(join(folder, "x", "y", "keys")), "one");
});

test("T203: killed at any moment, the old files or the new ones are there, whole, and no others stay", async (context) => {
  const path = join(temporaryFolder(context), "keys");
  await publishFolder(content(path, "start"));
  let kills = 0;
  for (let round = 0; round < 12; round += 1) {
    const child = spawn(process.execPath, [join(import.meta.dirname, "publish-child.ts"), path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    await once(child.stdout, "data");
    await sleep(Math.random() * 60);
    child.kill("SIGKILL");
    const [, signal] = await ended;
    if (signal === "SIGKILL") kills += 1;
    if (existsSync(path)) textIn(path);
    await prepareFolder({ path, ownNames: NAMES, replace: true });
    textIn(path);
    assert.deepEqual(readdirSync(join(path, "..")), ["keys"]);
  }
  assert.equal(kills, 12);
});

test("T203: a replacement that was cut off between its two renames is taken back", async (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, "keys");
  await publishFolder(content(join(folder, ".keys.ppml-old"), "old"));
  // The new files of the killed run: its process is gone.
  await publishFolder(content(join(folder, ".keys.ppml-new-999999999"), "new"));
  await assert.rejects(publishFolder(content(path, "x")), { code: "provision.exists" });
  assert.equal(textIn(path), "old");
  assert.deepEqual(readdirSync(folder), ["keys"]);
});

test("a run that is still at work keeps its unfinished files", async (context) => {
  const folder = temporaryFolder(context);
  const other = join(folder, `.keys.ppml-new-${process.ppid}`);
  mkdirSync(other);
  await prepareFolder({ path: join(folder, "keys"), ownNames: NAMES, replace: false });
  assert.ok(existsSync(other));
});

test("two replacements at once leave one of them whole", async (context) => {
  const path = join(temporaryFolder(context), "keys");
  await publishFolder(content(path, "start"));
  const children = [0, 1].map(() =>
    spawn(process.execPath, [join(import.meta.dirname, "publish-child.ts"), path], {
      stdio: ["ignore", "ignore", "ignore"],
    }),
  );
  const ended = children.map((child) => once(child, "exit"));
  await sleep(1500);
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(ended);
  await prepareFolder({ path, ownNames: NAMES, replace: true });
  textIn(path);
});

test("what the system refuses names the path and the reason", async (context) => {
  const path = join(temporaryFolder(context), "no", "such", "folder", "key");
  await assert.rejects(fileSink({ path, replace: false }).put("key-pass", secretOf("x")), {
    code: "provision.io",
    message: `${path} cannot be written (ENOENT)`,
  });
});
