import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { mutate, randomOf } from "../../tools/fuzz/mutate.ts";
import { TARGETS } from "../../tools/fuzz/targets.ts";

const FUZZ = join(import.meta.dirname, "../../tools/fuzz.ts");

function fuzz(...args: readonly string[]) {
  return spawnSync(process.execPath, [FUZZ, ...args], { encoding: "utf8" });
}

test("the fuzzer runs a target, counts its mutations and finds nothing in half a second", () => {
  const run = fuzz("--seconds", "1", "--target", "grant", "--seed", "7");
  assert.equal(run.status, 0, run.stdout + run.stderr);
  assert.match(run.stdout, /^seed 7, 1 s a target$/m);
  assert.match(run.stdout, /^grant +authentic +\d+ +\d+ /m);
  assert.match(run.stdout, /^[1-9]\d* mutations, 0 failures$/m);
});

test("the fuzzer names an unknown target's alternatives, and targets have different names", () => {
  const run = fuzz("--target", "nosuch");
  assert.equal(run.status, 2);
  assert.match(run.stderr, /Targets: .*sealed-table/);
  assert.equal(new Set(TARGETS.map(({ name }) => name)).size, TARGETS.length);
});

test("the same seed gives the same mutations, and another one others", () => {
  const seeds = [new Uint8Array(50).fill(9), new Uint8Array(3)];
  const series = (seed: number) => {
    const random = randomOf(seed);
    return Array.from({ length: 40 }, () => mutate(seeds, random));
  };
  assert.deepEqual(series(1), series(1));
  assert.notDeepEqual(series(1), series(2));
  assert.ok(series(3).every((one) => one.byteLength <= 1024 * 1024));
});
