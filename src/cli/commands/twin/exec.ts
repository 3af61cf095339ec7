import { spawn } from "node:child_process";
import { constants } from "node:os";
import { PpmlError } from "../../../base/index.ts";
import {
  findIdentity,
  managedIdentityEnvironment,
  openTwinState,
  useTwin,
  withTwin,
} from "../../../twin/index.ts";
import type { RunningTwin, TwinEnvironment } from "../../../twin/index.ts";
import { defineCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { startTwinHere, twinFolder, twinNotes, twinStartFlags } from "../../twin-folder.ts";
import type { TwinStartFlags } from "../../twin-folder.ts";

type Flags = TwinStartFlags & { readonly identity?: string; readonly verbose?: boolean };

type InUse = {
  readonly running: RunningTwin;
  readonly environment: TwinEnvironment;
  readonly subscriptionId: string;
  readonly close: () => Promise<void>;
};

/** `ppml twin exec -- COMMAND...`: a program with the double in Azure's place. */
export const command = defineCommand<Flags, string[]>({
  parameters: {
    flags: {
      ...twinStartFlags,
      identity: {
        kind: "parsed",
        parse: String,
        brief: "Log in as this managed identity (otherwise: as the subscription's owner)",
        placeholder: "NAME",
        optional: true,
      },
      verbose: {
        kind: "boolean",
        brief: "Write on stderr what the double refuses, where it is started here",
        optional: true,
        withNegated: false,
      },
    },
    positional: {
      kind: "array",
      parameter: { placeholder: "COMMAND", brief: "Program and arguments", parse: String },
      minimum: 1,
    },
  },
  description:
    "Put `--` before COMMAND. The twin that runs in the folder is used; where none does, one runs for as\n" +
    "long as the command. The exit code is the command's; signals go on to it. No secret is in its\n" +
    "environment: it logs in with the token of a file of mode 0600. Where a twin is started, its first start\n" +
    "takes the ids of ppml.yaml's section azure.",
  async run(context, flags, ...argv) {
    const folder = await twinFolder(context, flags);
    const twin = await twinOf(context, { folder, flags });
    try {
      for (const note of await twinNotes(context, twin)) context.talk(note);
      const environment =
        flags.identity === undefined
          ? twin.environment
          : identityEnvironment(twin, { folder, name: flags.identity });
      const exitCode = await runProgram(argv, withTwin(context.env, environment), context.cwd);
      return { data: null, human: () => "", written: true, exitCode };
    } finally {
      await twin.close();
    }
  },
});

async function twinOf(
  context: CliContext,
  options: { readonly folder: string; readonly flags: Flags },
): Promise<InUse> {
  const { folder, flags } = options;
  const inUse = useTwin(folder);
  if (inUse !== null) return { ...inUse, close: () => Promise.resolve() };
  const log = (line: string): void => {
    if (flags.verbose === true) context.talk(line);
  };
  return startTwinHere(context, { folder, flags, log });
}

function identityEnvironment(
  { running, environment }: InUse,
  wanted: { readonly folder: string; readonly name: string },
): TwinEnvironment {
  using state = openTwinState(wanted.folder);
  const { clientId } = findIdentity(state, wanted.name);
  return managedIdentityEnvironment(environment, { clientId, running });
}

/** Runs a program to its end, with our streams and signals; gives its exit code, 128 + N for signal N. */
async function runProgram(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): Promise<number> {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, { cwd, env, stdio: "inherit" });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, forward);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", (cause) => {
        reject(new PpmlError("cli.usage", `${file} cannot be run: ${cause.message}`, { cause }));
      });
      child.once("close", (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    for (const signal of signals) process.off(signal, forward);
  }
}
