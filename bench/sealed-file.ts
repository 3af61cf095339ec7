/**
 * Seals and opens a file in memory through the local store, beside `cp` and the `age` CLI on the same
 * file: each side is a process of its own (its start counts), and the sides alternate.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { alternate, measuredCommand } from "./measure.ts";
import type { Median, Side } from "./measure.ts";
import { memoryFolder } from "./memory-folder.ts";
import { pair, single } from "./table.ts";
import type { Figure } from "./table.ts";

const SIDE = join(import.meta.dirname, "sealed-file-side.ts");
type SideName = "cp" | "ageSeal" | "ageOpen" | "seal" | "open";

/** Compares time with both others, and bounds the peak memory at the full size and a quarter of it. */
export async function benchSealedFile(options: {
  readonly quick: boolean;
}): Promise<readonly Figure[]> {
  const mib = options.quick ? 128 : 1024;
  const folder = mkdtempSync(join(memoryFolder(), "ppml-bench-"));
  try {
    await writeInput(folder, mib / 4);
    const small = Math.max(ours("seal", folder).peakMiB, ours("open", folder).peakMiB);
    await writeInput(folder, mib);
    const peaks: number[] = [];
    const medians = await alternate(sides(folder, peaks), {
      rounds: options.quick ? 3 : 7,
      warmUps: 1,
    });
    execFileSync("cmp", [join(folder, "input"), join(folder, "opened")]);
    const memory = {
      what: `seal, open ${mib} MiB: peak memory`,
      ours: Math.max(...peaks),
      other: { name: "at a quarter of it", value: small },
      unit: "MiB",
      goal: { atMost: 200 },
    };
    return [...comparisons(medians, mib), single(memory)];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function sides(folder: string, peaks: number[]): Readonly<Record<SideName, Side>> {
  const path = (name: string): string => join(folder, name);
  const command = (output: string, words: readonly string[]): Side => {
    return () => {
      rmSync(path(output), { force: true });
      return measuredCommand(words);
    };
  };
  const side = (name: "seal" | "open"): Side => {
    return () => {
      const { peakMiB, ...taken } = ours(name, folder);
      peaks.push(peakMiB);
      return taken;
    };
  };
  const all = {
    cp: command("copied", ["cp", path("input"), path("copied")]),
    seal: side("seal"),
    open: side("open"),
  };
  if (spawnSync("age", ["--version"], { stdio: "ignore" }).status !== 0)
    throw new Error("the age CLI is not on the PATH: install it (on Debian: apt-get install age)");
  const key = path("age-key");
  execFileSync("age-keygen", ["-o", key], { stdio: "ignore" });
  const recipient = execFileSync("age-keygen", ["-y", key], { encoding: "utf8" }).trim();
  const [sealed, opened] = [path("age-sealed"), path("age-opened")];
  return {
    ...all,
    ageSeal: command("age-sealed", ["age", "-r", recipient, "-o", sealed, path("input")]),
    ageOpen: command("age-opened", ["age", "-d", "-i", key, "-o", opened, sealed]),
  };
}

function comparisons(medians: Readonly<Record<SideName, Median>>, mib: number): readonly Figure[] {
  return (["seal", "open"] as const).flatMap((name) =>
    (
      [
        ["age", medians[name === "seal" ? "ageSeal" : "ageOpen"], 1],
        ["cp", medians.cp, 1.5],
      ] as const
    ).flatMap(([other, theirs, atMost]) =>
      (["wallMs", "cpuMs"] as const).map((clock) =>
        pair({
          what: `${name} ${mib} MiB, ${clock === "wallMs" ? "wall" : "CPU"}`,
          ours: medians[name][clock] / 1000,
          other: { name: other, value: theirs[clock] / 1000 },
          unit: "s",
          ...(clock === "wallMs" ? { goal: { atMost } } : {}),
        }),
      ),
    ),
  );
}

function ours(
  side: "seal" | "open",
  folder: string,
): { readonly wallMs: number; readonly cpuMs: number; readonly peakMiB: number } {
  rmSync(join(folder, side === "seal" ? "sealed" : "opened"), { force: true });
  // As bin/ppml does; the first run fills it.
  const cache = `NODE_COMPILE_CACHE=${join(folder, "compile-cache")}`;
  const command = ["env", cache, process.execPath, SIDE, side, folder];
  const { stdout, ...taken } = measuredCommand(command);
  return { ...taken, peakMiB: Number(stdout) };
}

async function writeInput(folder: string, mib: number): Promise<void> {
  const file = createWriteStream(join(folder, "input"));
  for (let index = 0; index < mib; index += 1)
    if (!file.write(randomBytes(1_048_576))) await once(file, "drain");
  file.end();
  await once(file, "close");
}
