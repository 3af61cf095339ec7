import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createEmbeddedVault, type KekInfo, openEmbeddedVault } from "../../../src/key/index.ts";
import type { Vault, VaultRoot } from "../../../src/key/index.ts";
import { hexOf, wrapped } from "../suite.ts";
import type { Change, KillLine } from "./kill-child.ts";

/** What a loop of kills has seen. */
export type KillReport = {
  readonly rounds: number;
  /** Changes that the vault had acknowledged, all found again. */
  readonly acknowledged: number;
  /** Changes under way at a kill: found done, or not done at all. */
  readonly appliedInFlight: number;
  readonly lostInFlight: number;
  /** Kills that left a rollback journal, which the next opener had to play back. */
  readonly hotJournals: number;
};

const CHILD = fileURLToPath(new URL("kill-child.ts", import.meta.url));
const PREFIXES = ["one", "two"] as const;

/**
 * Makes a vault and, round by round, lets two processes change it at once and kills both with SIGKILL
 * at a random moment; after each kill the vault must open and hold all that was acknowledged.
 */
export async function runKillLoop(options: {
  readonly path: string;
  readonly root: VaultRoot & { readonly kind: "file" };
  readonly rounds: number;
  /** The longest time from a child's first acknowledged change to its death. */
  readonly longestMs: number;
  readonly exists: (path: string) => boolean;
  readonly random: () => number;
}): Promise<KillReport> {
  const { path, root, rounds, random } = options;
  let known = await makeVault(options);
  const report = { acknowledged: 0, appliedInFlight: 0, lostInFlight: 0, hotJournals: 0 };
  for (let round = 0; round < rounds; round++) {
    const runs = await Promise.all(
      PREFIXES.map((prefix) => {
        const args = [path, root.path, prefix, String(Math.floor(random() * 2 ** 31))];
        return runChild(args, random() * options.longestMs);
      }),
    );
    if (options.exists(`${path}-journal`)) report.hotJournals += 1;
    using vault = await openEmbeddedVault({ path, root });
    const found = new Map((await vault.listKeks()).map((info) => [info.name, info]));
    const inFlight = new Map<string, Change>();
    for (const line of runs.flat())
      if ("begin" in line) inFlight.set(line.begin.name, line.begin);
      else {
        inFlight.delete(line.done.name);
        known.set(line.info.name, line.info);
        report.acknowledged += 1;
      }
    for (const [name, info] of found) {
      const change = inFlight.get(name);
      const before = known.get(name);
      if (change === undefined || same(info, before)) assert.deepEqual(info, before, name);
      else assertApplied(change, { before, info });
      if (change !== undefined) report[same(info, before) ? "lostInFlight" : "appliedInFlight"]++;
    }
    for (const name of known.keys()) assert.ok(found.has(name), `${name} was acknowledged`);
    for (const [name, change] of inFlight)
      if (!found.has(name)) {
        assert.equal(change.op, "create");
        report.lostInFlight += 1;
      }
    await assertKeysWork(vault, [...found.values()].slice(-8));
    known = found;
  }
  return { rounds, ...report };
}

async function makeVault(options: {
  readonly path: string;
  readonly root: VaultRoot;
}): Promise<Map<string, KekInfo>> {
  using vault = await createEmbeddedVault({ ...options, mode: "simulation" });
  const known = new Map<string, KekInfo>();
  for (const prefix of PREFIXES)
    for (const number of [0, 1]) {
      const name = `${prefix}-s${number}`;
      known.set(name, await vault.createKek({ name, kind: "unwrap-only" }));
    }
  return known;
}

/** Runs a child until it is killed, `delayMs` after its first acknowledged change: its whole lines. */
async function runChild(args: readonly string[], delayMs: number): Promise<KillLine[]> {
  const child: ChildProcess = spawn(process.execPath, [CHILD, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  let timer: NodeJS.Timeout | undefined;
  child.stderr?.on("data", (chunk) => {
    errors += String(chunk);
  });
  child.stdout?.on("data", (chunk) => {
    output += String(chunk);
    if (timer === undefined && output.includes('"done"'))
      timer = setTimeout(() => child.kill("SIGKILL"), delayMs);
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  clearTimeout(timer);
  assert.equal(signal, "SIGKILL", `the child ended by itself (${code}): ${errors}`);
  // A kill may cut the last line; what it told was not told.
  return output
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as KillLine);
}

/** The change that was under way must be done as a whole. */
function assertApplied(
  change: Change,
  state: { readonly before: KekInfo | undefined; readonly info: KekInfo },
): void {
  const { before, info } = state;
  if (change.op === "create" || before === undefined) {
    assert.equal(change.op, "create", info.name);
    assert.deepEqual([info.state, info.versions.length], ["enabled", 1]);
    return;
  }
  if (change.op === "rotate") {
    const { versions, currentVersion, ...rest } = info;
    const { versions: oldVersions, currentVersion: _, ...oldRest } = before;
    assert.deepEqual(rest, oldRest);
    assert.deepEqual(versions.slice(0, -1), oldVersions);
    assert.equal(versions.at(-1)?.kekVersion, currentVersion);
    return;
  }
  const whole = change.kekVersion === undefined;
  const wanted = `${change.op}${change.op === "destroy" ? "ed" : "d"}`;
  if (whole) assert.equal(info.state, wanted);
  for (const version of info.versions)
    if (version.kekVersion === change.kekVersion || (whole && wanted === "destroyed"))
      assert.equal(version.state, wanted);
}

async function assertKeysWork(vault: Vault, keks: readonly KekInfo[]): Promise<void> {
  for (const kek of keks.filter(({ state }) => state === "enabled"))
    for (const version of kek.versions.filter(({ state }) => state === "enabled")) {
      const { request, hex } = await wrapped(vault, kek.kekId, version.kekVersion);
      using secret = await vault.unwrap(request);
      assert.equal(hexOf(secret), hex);
    }
}

function same(a: KekInfo, b: KekInfo | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
