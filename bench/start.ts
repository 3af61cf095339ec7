/** `npm start` after the install: the whole quickstart, once. */
import { join } from "node:path";
import { measuredCommand } from "./measure.ts";
import { single } from "./table.ts";
import type { Figure } from "./table.ts";

const ROOT = join(import.meta.dirname, "..");

/** Runs the quickstart as `npm start` does; its wall time has the goal. */
export function benchStart(): Promise<readonly Figure[]> {
  const command = [process.execPath, join(ROOT, "tools", "quickstart.ts")];
  const { wallMs, cpuMs } = measuredCommand(command, { cwd: ROOT });
  const goal = { atMost: 60 };
  return Promise.resolve([
    single({ what: "npm start, wall", ours: wallMs / 1000, unit: "s", goal }),
    single({ what: "npm start, CPU", ours: cpuMs / 1000, unit: "s" }),
  ]);
}
