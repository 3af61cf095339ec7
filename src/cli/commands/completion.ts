import { type CommonFlags, commonFlags, defineCommand } from "../command.ts";
import { completionScript, type Shell, SHELLS } from "../completion.ts";

/** `ppml completion SHELL`: prints a script to source. */
export const command = defineCommand<CommonFlags, [Shell]>({
  parameters: {
    flags: commonFlags,
    positional: {
      kind: "tuple",
      parameters: [
        {
          placeholder: "SHELL",
          brief: SHELLS.join(", "),
          parse: parseShell,
          proposeCompletions: () => SHELLS,
        },
      ],
    },
  },
  description: "For bash:  source <(ppml completion bash)   in ~/.bashrc.",
  run: (_context, _flags, shell) => {
    const script = completionScript(shell);
    return { data: { shell, script }, human: () => script };
  },
});

function parseShell(input: string): Shell {
  const shell = SHELLS.find((name) => name === input);
  if (shell === undefined) throw new RangeError(`expected ${SHELLS.join(", ")}`);
  return shell;
}
