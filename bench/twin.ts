/** The double of Azure: how long it takes to be ready, and to answer a plan of a whole project. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureAzurite } from "../tools/azurite.ts";
import { measuredCommand } from "./measure.ts";
import { memoryFolder } from "./memory-folder.ts";
import { single } from "./table.ts";
import type { Figure } from "./table.ts";

const PPML = join(import.meta.dirname, "../bin/ppml");

/** Medians of the wall time; a plan's includes the `ppml twin exec` around it. */
export async function benchTwin(options: { readonly quick: boolean }): Promise<readonly Figure[]> {
  ensureAzurite();
  const folder = mkdtempSync(join(memoryFolder(), "ppml-bench-twin-"));
  try {
    measuredCommand([PPML, "init", "--template", "azure", folder]);
    const rounds = options.quick ? 3 : 11;
    const ready: number[] = [];
    const plans: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { twin, tookMs } = await startTwin(folder);
      ready.push(tookMs);
      // The first makes the group, so that ARM's what-if is asked from then on.
      if (round === 0) measuredCommand(inTwin("up", "--yes"), { cwd: folder });
      plans.push(measuredCommand(inTwin("azure", "plan"), { cwd: folder }).wallMs);
      const closed = once(twin, "close");
      twin.kill("SIGTERM");
      await closed;
    }
    return [
      figure("ppml twin up, until it is ready, wall", median(ready), 3000),
      figure("ppml azure plan in the twin, wall", median(plans), 2000),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function figure(what: string, ours: number, goalMs: number): Figure {
  return single({ what, ours, unit: "ms", goal: { atMost: goalMs } });
}

function inTwin(...command: readonly string[]): readonly string[] {
  return [PPML, "twin", "exec", "--", PPML, ...command];
}

async function startTwin(cwd: string) {
  const beginMs = performance.now();
  const twin = spawn(PPML, ["twin", "up", "--json", "--quiet"], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(twin.stdout, "data");
  return { twin, tookMs: performance.now() - beginMs };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
