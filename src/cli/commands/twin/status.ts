import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  FAULTS,
  findRunning,
  openTwinState,
  RESOURCES,
  ROLE_ASSIGNMENTS,
} from "../../../twin/index.ts";
import { defineCommand } from "../../command.ts";
import { SIMULATED_NOTE } from "../../output/style.ts";
import { renderFields } from "../../output/table.ts";
import { twinFlags, twinFolder } from "../../twin-folder.ts";
import type { TwinFlags } from "../../twin-folder.ts";

/** `ppml twin status`: whether the twin of a folder runs, and what it knows. */
export const command = defineCommand<TwinFlags>({
  parameters: { flags: twinFlags },
  description: "Exits 1 where no twin runs in the folder.",
  async run(context, flags) {
    const folder = await twinFolder(context, flags);
    const running = findRunning(folder);
    const known = existsSync(join(folder, "state.db")) ? countsOf(folder) : null;
    const isRunning = running !== null;
    const data = { simulated: true, folder, isRunning, pid: running?.pid ?? null, ...known };
    return {
      data,
      exitCode: isRunning ? 0 : 1,
      human: () =>
        renderFields(
          [
            ["mode", SIMULATED_NOTE],
            ["folder", folder],
            ["runs", running === null ? "no: start it with `ppml twin up`" : `pid ${running.pid}`],
            ["resources", String(known?.resources ?? 0)],
            ["role assignments", String(known?.roleAssignments ?? 0)],
            ["faults that wait", String(known?.faults ?? 0)],
          ],
          context.style,
        ),
    };
  },
});

function countsOf(folder: string): {
  readonly resources: number;
  readonly roleAssignments: number;
  readonly faults: number;
} {
  using state = openTwinState(folder);
  return {
    resources: state.list(RESOURCES).length,
    roleAssignments: state.list(ROLE_ASSIGNMENTS).length,
    faults: state.list(FAULTS).length,
  };
}
