import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { sha256 } from "../../../src/base/index.ts";
import { measureImage } from "../../../src/launch/sim/image.ts";
import { buildSnapshot } from "../../../src/launch/sim/snapshot.ts";
import type { Snapshot } from "../../../src/launch/sim/snapshot.ts";
import { config, makeClone } from "./fixture.ts";

const clone = makeClone();
const parent = mkdtempSync(join(tmpdir(), "ppml-snapshots-"));
after(() => {
  for (const root of [clone, parent]) rmSync(root, { recursive: true, force: true });
});

const image = {
  imageRoot: clone,
  entries: ["launch/main.ts", "worker/main.ts"],
  config,
  nodeBinary: join(clone, "bin/node"),
};
const build = (): Promise<Snapshot> => buildSnapshot({ ...image, parentDir: parent });

test("a snapshot measures what `measureImage` says, and holds exactly those bytes", async () => {
  await using snapshot = await build();
  const expected = await measureImage(image);
  assert.deepEqual(snapshot.measurement, expected.measurement);
  assert.deepEqual(snapshot.files, expected.files);
  for (const file of snapshot.files) {
    const bytes = readFileSync(join(snapshot.directory, file.path));
    assert.equal(bytes.byteLength, file.size, file.path);
    assert.deepEqual(sha256(bytes), file.sha256, file.path);
  }
  const listed = new Set(snapshot.files.map(({ path }) => path));
  const found = readdirSync(snapshot.directory, { recursive: true, encoding: "utf8" }).filter(
    (path) => lstatSync(join(snapshot.directory, path)).isFile(),
  );
  assert.deepEqual(new Set(found), listed);
  assert.deepEqual(readFileSync(snapshot.configPath), Buffer.from(config));
  assert.ok(existsSync(snapshot.nodePath) && existsSync(snapshot.entryPath("worker/main.ts")));
  assert.throws(() => snapshot.entryPath("launch/a.ts"), { code: "launch.image" });
});

test("a snapshot is private and read-only", async () => {
  await using snapshot = await build();
  assert.equal(lstatSync(snapshot.directory).mode & 0o777, 0o500);
  for (const path of readdirSync(snapshot.directory, { recursive: true, encoding: "utf8" })) {
    const mode = lstatSync(join(snapshot.directory, path)).mode & 0o777;
    assert.ok(mode === 0o500 || mode === 0o400, `${path}: ${mode.toString(8)}`);
  }
  assert.equal(lstatSync(snapshot.nodePath).mode & 0o777, 0o500);
});

test("a large file is copied whole and hashed right", async () => {
  const large = new Uint8Array(5 * 1024 * 1024 + 17).map((_, index) => (index * 31) % 251);
  const nodeBinary = join(parent, "large-node");
  writeFileSync(nodeBinary, large);
  chmodSync(nodeBinary, 0o700);
  await using snapshot = await buildSnapshot({ ...image, nodeBinary, parentDir: parent });
  const node = snapshot.files.find(({ path }) => path === "node");
  assert.deepEqual(node?.sha256, sha256(large));
  assert.equal(node?.size, large.byteLength);
  assert.equal(node?.executable, true);
  assert.deepEqual(sha256(readFileSync(snapshot.nodePath)), sha256(large));
});

test("a snapshot is gone when disposed of, and after a failure nothing is left", async () => {
  const snapshot = await build();
  await snapshot[Symbol.asyncDispose]();
  await snapshot[Symbol.asyncDispose]();
  assert.equal(existsSync(snapshot.directory), false);
  await assert.rejects(
    buildSnapshot({ ...image, nodeBinary: join(clone, "bin"), parentDir: parent }),
    { code: "launch.image" },
  );
  assert.deepEqual(
    readdirSync(parent).filter((name) => name.startsWith("ppml-tee")),
    [],
  );
});

test("a snapshot is removed when its process exits or is interrupted, and swept after a kill", () => {
  assert.equal(run("process.exit(3)").status, 3);
  assert.deepEqual(left(), [], "after exit");
  const interrupted = run('process.kill(process.pid, "SIGINT")');
  assert.equal(interrupted.signal, "SIGINT", interrupted.stderr);
  assert.deepEqual(left(), [], "after SIGINT");
  assert.equal(run('process.kill(process.pid, "SIGKILL")').signal, "SIGKILL");
  assert.equal(left().length, 1, "SIGKILL leaves it");
  assert.equal(run("process.exit(0)").status, 0);
  assert.deepEqual(left(), [], "the next one sweeps");
});

test("a folder that would give the snapshot unmeasured modules is refused", async () => {
  const planted = mkdtempSync(join(parent, "planted-"));
  mkdirSync(join(planted, "node_modules"));
  await assert.rejects(buildSnapshot({ ...image, parentDir: planted }), {
    code: "launch.image",
    message: /lies above the snapshot/,
  });
});

function left(): string[] {
  return readdirSync(parent).filter((name) => name.startsWith("ppml-tee"));
}

/** Builds a snapshot in a process of its own, then runs `end` there. */
function run(end: string) {
  const module = new URL("../../../src/launch/sim/snapshot.ts", import.meta.url).href;
  const options = JSON.stringify({ ...image, config: undefined, parentDir: parent });
  const script = `
    import { buildSnapshot } from ${JSON.stringify(module)};
    await buildSnapshot({ ...${options}, config: new TextEncoder().encode("{}") });
    ${end};
    setTimeout(() => {}, 60_000);`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
}
