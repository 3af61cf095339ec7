import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { before, test } from "node:test";
import { PPML, ppml, type Run, runInProcess, temporaryFolder } from "./ppml.ts";

/** A project with a sealed dataset, copied nowhere: each test puts back what it changes. */
let cwd: string;
before(async (context) => {
  assert.ok("after" in context);
  cwd = temporaryFolder(context);
  for (const line of ["init --template people --rows 20", "data seal", "job sign developers"])
    await succeeds(line);
});

function run(line: string): Promise<Run> {
  return runInProcess(line.split(" "), { cwd });
}

async function succeeds(line: string): Promise<Run> {
  const done = await run(line);
  assert.equal(done.code, 0, `${line}: ${done.stderr}`);
  return done;
}

function assertRefused(done: Run, expected: { readonly code: string; readonly words: RegExp }) {
  assert.equal(done.code, 1);
  assert.match(done.stderr, new RegExp(`code:  ${expected.code.replace(".", "\\.")} `));
  assert.match(done.stderr, expected.words);
  assert.doesNotMatch(done.stderr, /unexpected|^\s+at /m);
}

test("what the operating system refuses is base.io with a remedy, not a fault of ours", async () => {
  const missing = await ppml(["audit", "tail"], { cwd, env: { TMPDIR: join(cwd, "nosuch") } });
  assertRefused(missing, {
    code: "base.io",
    words: /ENOENT.*mkdtemp.*try:.*make the folder/s,
  });
  const image = await run("enclave measure --image /nosuch/place");
  assertRefused(image, { code: "base.io", words: /ENOENT/ });
});

test("a file in the place of the receipts' folder stops a run before it begins", async () => {
  writeFileSync(join(cwd, "receipts"), "");
  try {
    assertRefused(await run("run developers"), { code: "base.io", words: /EEXIST/ });
    assert.equal(existsSync(join(cwd, "sealed/developers/manifest.json")), false);
  } finally {
    rmSync(join(cwd, "receipts"));
  }
});

test("a result that cannot be written is cli.output, not a crash", async (context) => {
  if (!existsSync("/dev/full")) return context.skip("no /dev/full on this system");
  for (const args of [["key", "list"], ["key", "list", "--json"], ["--help"]]) {
    const full = openSync("/dev/full", "w");
    const child = spawn(PPML, args, { cwd, stdio: ["ignore", full, "pipe"] });
    let stderr = "";
    child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 1, stderr);
    assert.match(stderr, /code: {2}cli\.output .*\ntry:/);
    assert.doesNotMatch(stderr, /^\s+at /m);
  }
});

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const)
  test(`${signal} during a command leaves neither the broker nor its folder`, async (context) => {
    const temporary = temporaryFolder(context);
    const child = spawn(PPML, ["data", "seal"], {
      cwd,
      env: { ...process.env, TMPDIR: temporary },
      stdio: "ignore",
    });
    const ended = once(child, "exit");
    const listens = () =>
      readdirSync(temporary).some((name) => existsSync(join(temporary, name, "broker.sock")));
    await until(listens);
    child.kill(signal);
    await ended;
    await until(() => readdirSync(temporary).length === 0);
    // Whatever was half done: the same command again does it.
    await succeeds("data seal people");
    await succeeds("data verify people");
  });

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!isTrue()) {
    assert.ok(Date.now() < deadline, "it did not happen within 20 s");
    await sleep(2);
  }
}

test("T178: sealing again mends an emptied, a damaged and a rolled-back store at once", async () => {
  const store = join(cwd, "sealed/people");
  const versionOf = async () => {
    const { stdout } = await succeeds("data seal people --json");
    const { sealed }: { sealed: readonly { version: number }[] } = JSON.parse(stdout);
    return sealed[0]?.version ?? 0;
  };
  const first = await versionOf();
  const found = async (words: RegExp) => {
    const { code, stdout } = await run("data verify");
    assert.deepEqual([code, words.test(stdout)], [1, true], stdout);
  };
  renameSync(store, `${store}-old`);
  await found(new RegExp(`accepted v${first}, the store has no manifest: it was removed`));
  assert.equal(await versionOf(), first + 1, "emptied");
  writeFileSync(join(store, "manifest.json"), Buffer.from("ff00fe7b", "hex"));
  assertRefused(await run("data verify people"), {
    code: "open.manifest",
    words: /stored manifest of people.*try:.*seal again/s,
  });
  assert.equal(await versionOf(), first + 2, "damaged");
  rmSync(store, { recursive: true });
  renameSync(`${store}-old`, store);
  await found(new RegExp(`accepted v${first + 2}, the store has v${first}: it was rolled back`));
  assert.equal(await versionOf(), first + 3, "rolled back");
  // What was never sealed is no error.
  const { stderr } = await succeeds("data verify");
  assert.doesNotMatch(stderr, /not compared/);
});

test("T178: data verify checks what it can without the broker's state, and says what it did not compare", async () => {
  for (const hidden of [".ppml/broker", ".ppml/root.key"]) {
    renameSync(join(cwd, hidden), join(cwd, `${hidden}.kept`));
    const { stdout, stderr } = await succeeds("data verify people");
    assert.match(stdout, /people .* as listed/);
    assert.match(stderr, /not compared with the broker's state/);
    const { notCompared } = JSON.parse((await succeeds("data verify people --json")).stdout) as {
      notCompared: string | null;
    };
    assert.match(notCompared ?? "", new RegExp(hidden));
    renameSync(join(cwd, `${hidden}.kept`), join(cwd, hidden));
  }
  const database = join(cwd, ".ppml/broker/broker.db");
  const good = readFileSync(database);
  writeFileSync(database, "damaged, so that a rollback is not seen");
  assertRefused(await run("data verify people"), {
    code: "broker.state",
    words: /backup|damaged|database/,
  });
  writeFileSync(database, good);
  await succeeds("data verify people");
});

test("files that people keep are written whole or not at all", async () => {
  const path = join(cwd, "jobs/developers.job.json");
  const old = readFileSync(path);
  // Its temporary file cannot be made: the folder is a file. The signed job stays as it was.
  renameSync(join(cwd, "jobs"), join(cwd, "jobs-kept"));
  writeFileSync(join(cwd, "jobs"), "");
  assertRefused(await run("job sign developers"), { code: "base.io", words: /EEXIST|ENOTDIR/ });
  rmSync(join(cwd, "jobs"));
  renameSync(join(cwd, "jobs-kept"), join(cwd, "jobs"));
  assert.deepEqual(readFileSync(path), old);

  mkdirSync(join(cwd, "head"));
  assertRefused(await run("audit verify --save head"), { code: "base.io", words: /EISDIR/ });
  assert.deepEqual(
    readdirSync(cwd).filter((name) => name.includes("ppml-part")),
    [],
  );
  await succeeds("policy draft owner");
  assertRefused(await run("policy draft owner"), { code: "cli.exists", words: /--force writes/ });
  await succeeds("policy draft owner --force");
});

test("a damaged or missing broker database is broker.state with the remedy that doctor names", async () => {
  const path = join(cwd, ".ppml/broker/broker.db");
  // The whole folder: what is not yet in broker.db itself stands in its journal.
  const kept = join(cwd, "broker-kept");
  cpSync(dirname(path), kept, { recursive: true });
  const good = readFileSync(path);
  for (const damaged of [
    Buffer.alloc(5000, 7),
    Buffer.concat([good.subarray(0, 100), Buffer.alloc(good.length - 100, 9)]),
  ]) {
    writeFileSync(path, damaged);
    assertRefused(await run("audit tail"), {
      code: "broker.state",
      words: /(?:malformed|not a (?:SQLite )?database|cannot be read)[^]*try: .*restore the folder/,
    });
  }
  const restore = /is missing\n[^]*try: .*restore the folder .*broker as a whole from a backup/;
  rmSync(path);
  assertRefused(await run("audit tail"), { code: "broker.state", words: restore });
  assert.match((await run("data verify")).stderr, /broker\.db: it is missing/);
  rmSync(dirname(path), { recursive: true });
  assertRefused(await run("audit verify"), { code: "broker.state", words: restore });
  // What a person would try first says that it does not help.
  assert.match((await run("init")).stderr, /nothing was changed/);
  renameSync(kept, dirname(path));
  chmodSync(dirname(path), 0o700);
  await succeeds("audit tail");
});
