import assert from "node:assert/strict";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { isPpmlError } from "../../src/base/index.ts";
import { acceptBrokerLog, createBrokerState } from "../../src/broker/create.ts";
import { stateError } from "../../src/broker/state-error.ts";
import { applyPolicy, makeFixture, manifestOf, policyOf, postManifest } from "./fixture.ts";
import type { Fixture } from "./fixture.ts";

let fixture: Fixture;
let older: string;
const dir = (): string => join(fixture.dir, "broker");
const mark = (): string => join(fixture.dir, "broker.mark");
const latest = (): string => join(fixture.dir, "latest");

before(async () => {
  fixture = await makeFixture();
  await applyPolicy(fixture, policyOf(fixture));
  older = join(fixture.dir, "older");
  copyDatabase(dir(), older);
  copyFileSync(mark(), join(fixture.dir, "older.mark"));
  for (const version of [1, 2]) await postManifest(fixture, manifestOf(fixture, { version }));
  fixture.state.db[Symbol.dispose]();
  copyDatabase(dir(), latest());
  copyFileSync(mark(), join(fixture.dir, "latest.mark"));
});
after(() => fixture.dispose());
beforeEach(() => {
  copyDatabase(latest(), dir());
  copyFileSync(join(fixture.dir, "latest.mark"), mark());
});

/** Puts one state's files in the place of another's, journals and all. */
function copyDatabase(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
  chmodSync(to, 0o700);
}

/** Opens the broker as it starts, and gives the log's size; the error's message where it is refused. */
async function started(): Promise<number | string> {
  try {
    const { state } = await fixture.openAgain();
    using db = state.db;
    return db.logMark.size;
  } catch (error) {
    assert.ok(isPpmlError(error, "broker.state"), String(error));
    const { remedy } = error.detail;
    assert.ok(typeof remedy === "string", error.message);
    return `${error.message}: ${remedy}`;
  }
}

describe("T128: an older whole copy of broker.db", () => {
  test("is refused when the broker starts, with what to do", async () => {
    assert.equal(await started(), 3);
    copyDatabase(older, dir());
    const told = String(await started());
    assert.match(told, /its log has 1 entries, but had 3: an older copy was put in its place/);
    assert.match(told, /ppml audit accept --yes/);
  });

  test("of a log that went on differently is refused too", async () => {
    const current = readFileSync(mark());
    copyDatabase(older, dir());
    copyFileSync(join(fixture.dir, "older.mark"), mark());
    const again = await fixture.openAgain();
    for (const version of [1, 2, 3])
      await postManifest({ ...fixture, ...again }, manifestOf(fixture, { version }));
    again.state.db[Symbol.dispose]();
    assert.equal(await started(), 1 + 3);
    writeFileSync(mark(), current);
    assert.match(String(await started()), /another one than the mark/);
  });

  test("is refused with a mark that is missing, changed, cut, or of another size", async () => {
    const text = readFileSync(mark(), "utf8");
    rmSync(mark());
    assert.match(String(await started()), /mark of the broker's log is missing/);
    for (const changed of [
      "",
      "{}",
      "x".repeat(5000),
      text.replace('"size":3', '"size":1'),
      text.replace(/"mac":"../, '"mac":"zz'),
      text.replace(/"chain":"(.)/, (_, digit: string) => `"chain":"${digit === "0" ? "1" : "0"}`),
    ]) {
      writeFileSync(mark(), changed);
      assert.equal(typeof (await started()), "string", changed.slice(0, 40));
    }
  });

  test("that the owner restored on purpose is accepted when they say so", async () => {
    copyDatabase(older, dir());
    const { root } = fixture.vault;
    assert.deepEqual(acceptBrokerLog({ dir: dir(), root }), { size: 1, before: 3 });
    assert.equal(await started(), 1);
  });
});

test("a mark that is behind its log, as a kill leaves it, is brought up when the broker starts", async () => {
  copyFileSync(join(fixture.dir, "older.mark"), mark());
  assert.equal(await started(), 3);
  assert.equal(
    (JSON.parse(readFileSync(mark(), "utf8")) as { size: number }).size,
    3,
    "the mark is of the whole log",
  );
});

test("making a broker where one lives leaves its mark as it is", async () => {
  const text = readFileSync(mark(), "utf8");
  const kind = { mode: "production", simulationRoot: null } as const;
  const owner = fixture.owner.publicJwk;
  const clock = (): number => fixture.state.clock();
  await assert.rejects(
    createBrokerState({ dir: dir(), kind, owner, root: fixture.vault.root, clock }),
    {
      code: "broker.state",
    },
  );
  assert.equal(readFileSync(mark(), "utf8"), text);
  assert.ok(existsSync(join(dir(), "broker.db")));
});

test("a state that cannot be written is told with the disk as its remedy, one that is damaged with a backup", () => {
  const disk = Object.assign(new Error("no space left"), { code: "ENOSPC" });
  const full = Object.assign(new Error("database or disk is full"), { errcode: 13 });
  const busy = Object.assign(new Error("database is locked"), { errcode: 5 });
  const corrupt = Object.assign(new Error("malformed"), { errcode: 11 });
  for (const [cause, remedy] of [
    [disk, /make room on the disk/],
    [full, /make room on the disk/],
    [busy, /another process holds it: wait/],
    [corrupt, /restore the folder \/p\/broker as a whole from a backup/],
    [undefined, /restore the folder/],
  ] as const)
    assert.match(
      String(stateError("/p/broker/broker.db", "x", { cause }).detail["remedy"]),
      remedy,
    );
});
