// A process that changes a vault without end until it is killed: see kill-loop.ts.
// Arguments: vault, root-key file, prefix of the names of its KEKs, seed.
import { writeSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { openEmbeddedVault } from "../../../src/key/index.ts";
import type { KekInfo } from "../../../src/key/index.ts";

/** One line of the child's output: what it is about to do, or what the vault has acknowledged. */
export type KillLine =
  | { readonly begin: Change }
  | { readonly done: Change; readonly info: KekInfo };

/** What the child does to a KEK, by name. */
export type Change = {
  readonly op: "create" | "rotate" | "enable" | "disable" | "destroy";
  readonly name: string;
  readonly kekVersion?: string;
};

const [path = "", rootPath = "", prefix = "", seed = "0"] = process.argv.slice(2);
const vault = await openEmbeddedVault({ path, root: { kind: "file", path: rootPath } });
const random = mulberry32(Number(seed));

await Promise.all([changeStates(), changeKeys()]);

/** Fast changes of the KEKs PREFIX-s0 and PREFIX-s1, which exist. */
async function changeStates(): Promise<void> {
  for (;;) {
    const name = `${prefix}-s${Math.floor(random() * 2)}`;
    const info = await vault.showKek(idOf(name));
    const op = info.state === "enabled" ? "disable" : "enable";
    await acknowledged({ op, name }, () =>
      op === "disable" ? vault.disableKek(info.kekId) : vault.enableKek(info.kekId),
    );
    await setImmediate();
  }
}

/** Slow changes of KEKs of its own: make, rotate, destroy the old version, destroy. */
async function changeKeys(): Promise<void> {
  for (;;) {
    const name = `${prefix}-k${Math.floor(random() * 1e9)}`;
    const kekId = idOf(name);
    const create = () => vault.createKek({ name, kind: "unwrap-only" });
    const { currentVersion } = await acknowledged({ op: "create", name }, create);
    await acknowledged({ op: "rotate", name }, () => vault.rotateKek(kekId));
    const destroy: Change = { op: "destroy", name, kekVersion: currentVersion };
    await acknowledged(destroy, () => vault.destroyKek(kekId, currentVersion));
    if (random() < 0.3) await acknowledged({ op: "destroy", name }, () => vault.destroyKek(kekId));
  }
}

async function acknowledged(change: Change, run: () => Promise<KekInfo>): Promise<KekInfo> {
  say({ begin: change });
  const info = await run();
  say({ done: change, info });
  return info;
}

// Synchronous: the line is in the pipe before the next thing happens.
function say(line: KillLine): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function idOf(name: string): string {
  return `embedded:${vault.vaultId}/${name}`;
}

function mulberry32(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
