import { buildCommand, type Command, type TypedFlagParameter } from "@stricli/core";
import type { TypedCommandParameters } from "@stricli/core";
import { isPpmlError } from "../base/index.ts";
import type { CliContext } from "./context.ts";
import { errorJson, renderError, reportError, toJson } from "./output/error-report.ts";

/** What a command gives back: the same result as data (`--json`) and as text for people. */
export type Outcome = {
  /** Goes to stdout as one JSON document with `--json`; its members are a promise to scripts. */
  readonly data: unknown;
  /** True where the command wrote its result itself, while it ran; then nothing follows. */
  readonly written?: true;
  /** Makes the text for stdout; empty where the command wrote its result itself. */
  readonly human: () => string;
  /** 0 done, 1 refused; 0 where it is not given. `twin exec` gives its command's own. */
  readonly exitCode?: number;
};

/** The flag that every command has. */
export type CommonFlags = { readonly json?: boolean };

/** The flags of a command that works in a project. */
export type ProjectFlags = CommonFlags & { readonly project?: string };

/** Parameters of `CommonFlags`. */
export const commonFlags = {
  json: {
    kind: "boolean",
    brief: "Print one JSON document on stdout",
    optional: true,
    withNegated: false,
  },
} as const satisfies { readonly json: TypedFlagParameter<boolean | undefined> };

/** Parameters of `ProjectFlags`. */
export const projectFlags = {
  project: {
    kind: "parsed",
    parse: String,
    brief: "Folder of ppml.yaml (otherwise: here, or the nearest above)",
    placeholder: "DIR",
    optional: true,
  },
  ...commonFlags,
} as const;

/** What a command's file says: its parameters, its longer description and what it does. */
export type CommandSpec<FLAGS extends CommonFlags, ARGS extends readonly unknown[]> = {
  readonly parameters: TypedCommandParameters<FLAGS, ARGS, CliContext>;
  /** What `--help` says below the usage, besides the brief of the route table. */
  readonly description?: string;
  readonly run: (context: CliContext, flags: FLAGS, ...args: ARGS) => Promise<Outcome> | Outcome;
};

/** A command as its file exports it: the route table adds the brief; `exit` learns the exit code. */
export type CommandDefinition = (
  brief: string,
  exit: (code: number) => void,
) => Command<CliContext>;

/** Wraps a command so that its result and every error go out in one way. */
export function defineCommand<FLAGS extends CommonFlags, ARGS extends readonly unknown[] = []>(
  spec: CommandSpec<FLAGS, ARGS>,
): CommandDefinition {
  return (brief, exit) => {
    const command = buildCommand<FLAGS, ARGS, CliContext>({
      docs: {
        brief,
        fullDescription: [`${brief}.`, spec.description ?? []].flat().join("\n"),
      },
      parameters: spec.parameters,
      async func(flags, ...args) {
        try {
          const outcome = await spec.run(this, flags, ...args);
          if (outcome.written !== true)
            await this.write(flags.json === true ? toJson(outcome.data) : outcome.human());
          exit(outcome.exitCode ?? 0);
        } catch (error) {
          await writeError(this, error);
          exit(isPpmlError(error, "cli.usage") ? 2 : 1);
        }
      },
    });
    return {
      ...command,
      formatHelp: (args) => bracketOptional(command.formatHelp(args), spec.parameters.positional),
    };
  };
}

/** Puts a list of arguments that may be empty in brackets, as other optional ones are. */
function bracketOptional(
  help: string,
  positional:
    | {
        readonly kind: string;
        readonly minimum?: number;
        readonly parameter?: { readonly placeholder?: string };
      }
    | undefined,
): string {
  if (positional?.kind !== "array" || (positional.minimum ?? 0) > 0) return help;
  const shown = `<${positional.parameter?.placeholder ?? "args"}>...`;
  return help.replace(` ${shown}\n`, ` [${shown}]\n`);
}

/** Shows an error: as the JSON document on stdout with `--json`, otherwise as lines on stderr. */
export async function writeError(context: CliContext, error: unknown): Promise<void> {
  const report = reportError(error, { isDebug: (context.env["PPML_DEBUG"] ?? "") !== "" });
  if (context.isJson && !context.isOutputClosed()) await context.write(errorJson(report));
  else context.talk(renderError(report, context.talkStyle).trimEnd());
}

/** Makes a parser of a whole number within bounds, for flags. */
export function integerBetween(least: number, most: number): (input: string) => number {
  return (input) => {
    const value = /^-?\d{1,15}$/.test(input) ? Number(input) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new RangeError(`expected a whole number from ${least} to ${most}`);
  };
}
