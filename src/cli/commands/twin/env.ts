import { PpmlError } from "../../../base/index.ts";
import { useTwin } from "../../../twin/index.ts";
import { defineCommand } from "../../command.ts";
import { twinFlags, twinFolder } from "../../twin-folder.ts";
import type { TwinFlags } from "../../twin-folder.ts";

/** `ppml twin env`: the variables of a running twin's programs. */
export const command = defineCommand<TwinFlags>({
  parameters: { flags: twinFlags },
  description: 'For a POSIX shell: eval "$(ppml twin env)". The twin has to run: `ppml twin up`.',
  async run(context, flags) {
    const folder = await twinFolder(context, flags);
    const twin = useTwin(folder);
    if (twin === null) throw notRunning(folder);
    const variables = Object.entries(twin.environment);
    return {
      data: twin.environment,
      human: () => variables.map(([name, value]) => `export ${name}=${quote(value)}\n`).join(""),
    };
  },
});

/** The error where a command needs a running twin. */
function notRunning(folder: string): PpmlError {
  return new PpmlError(
    "twin.missing",
    `no twin runs in ${folder}: start one there with \`ppml twin up\``,
  );
}

function quote(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}
