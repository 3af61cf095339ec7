// Runs one target in a process of its own; tools/fuzz.ts starts and watches it. Arguments: target,
// seconds, seed, the file for the current input, and an input's file to run alone (or nothing).
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { equalBytes, isPpmlError, sha256, toHex, utf8 } from "../../src/base/index.ts";
import { mutate, randomOf } from "./mutate.ts";
import type { PreparedTarget } from "./target.ts";
import { TARGETS } from "./targets.ts";

/** What a run of one target came to. */
export type FuzzReport = {
  readonly target: string;
  readonly promise: PreparedTarget["promise"];
  readonly seeds: number;
  readonly mutations: number;
  readonly accepted: number;
  /** How often each error code came. */
  readonly codes: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly peakMib: number;
  readonly failure: string | null;
};

/** The longest that one input may take, in milliseconds, on a busy machine. */
const MAX_INPUT_MS = 4000;
/** How far over its size at the start the process may grow. */
const MAX_GROWTH_MIB = 768;
const BEAT_MS = 250;

const [name = "", seconds = "", seed = "", current = "", replay = ""] = process.argv.slice(2);
const target = TARGETS.find((one) => one.name === name);
if (target === undefined) throw new Error(`no target ${name}`);
const prepared = await target.prepare();
const report = await runTarget(prepared);
await prepared.dispose?.();
process.send?.(report);
process.disconnect?.();

async function runTarget({ seeds, run, promise }: PreparedTarget): Promise<FuzzReport> {
  const good = new Set<string>();
  for (const input of seeds)
    try {
      good.add(digestOf(await run(input)));
    } catch (error) {
      // Where nothing is promised, a seed may be a beginning only: an input of another parser.
      if (promise === "authentic" || !isPpmlError(error)) throw error;
    }
  if (good.size === 0) throw new Error(`${name} refuses all of its seeds`);
  const random = randomOf(Number(seed));
  const file = openSync(current, "w", 0o600);
  const codes: Record<string, number> = {};
  let [mutations, accepted, slowestMs, beat] = [0, 0, 0, 0];
  let failure: string | null = null;
  const startMib = peakMib();
  const ends = performance.now() + Number(seconds) * 1000;
  while (failure === null && performance.now() < ends) {
    const input = replay === "" ? mutate(seeds, random) : new Uint8Array(readFileSync(replay));
    if (replay === "" && seeds.some((one) => equalBytes(one, input))) continue;
    // Written before it is run: a crash or a hang leaves it for the parent to keep.
    ftruncateSync(file, 0);
    writeSync(file, input, 0, input.byteLength, 0);
    const begin = performance.now();
    try {
      const taken = digestOf(await run(input));
      accepted += 1;
      if (promise === "authentic" && !good.has(taken))
        failure = "accepted an input that holds something else than the good ones";
    } catch (error) {
      if (isPpmlError(error) && error.code !== "base.internal")
        codes[error.code] = (codes[error.code] ?? 0) + 1;
      else
        failure = `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    }
    const tookMs = performance.now() - begin;
    slowestMs = Math.max(slowestMs, tookMs);
    mutations += 1;
    if (tookMs > MAX_INPUT_MS) failure ??= `took ${Math.round(tookMs)} ms`;
    if (peakMib() - startMib > MAX_GROWTH_MIB) failure ??= `memory grew to ${peakMib()} MiB`;
    if (replay !== "") break;
    if (performance.now() - beat > BEAT_MS) {
      beat = performance.now();
      process.send?.("beat");
      // Lets the message out, and other work that a target started.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  closeSync(file);
  return {
    target: name,
    promise,
    seeds: seeds.length,
    mutations,
    accepted,
    codes,
    slowestMs: Math.round(slowestMs),
    peakMib: peakMib(),
    failure,
  };
}

function peakMib(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

function digestOf(taken: unknown): string {
  if (taken instanceof Uint8Array) return toHex(sha256(taken));
  const text = JSON.stringify(taken, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value instanceof Uint8Array ? toHex(value) : value,
  );
  return toHex(sha256(utf8(text ?? "undefined")));
}
