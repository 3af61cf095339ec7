import {
  type Application,
  type ApplicationText,
  type ArgumentParseError,
  buildApplication,
  buildCommand,
  buildRouteMap,
  type Command,
  formatMessageForArgumentScannerError,
  ArgumentScannerError,
  type RouteMap,
  text_en,
} from "@stricli/core";
import { PpmlError } from "../base/index.ts";
import { type CommonFlags, commonFlags } from "./command.ts";
import type { CliContext } from "./context.ts";
import { nounHelp, rootHelp } from "./help.ts";
import { type CommandRoute, isNoun, ROUTES, type Routes } from "./routes.ts";
import { shownArgument } from "./shown-argument.ts";

type Target = Command<CliContext> | RouteMap<CliContext>;

/** Which commands to load: the one that the inputs name, or all (for the reference pages). */
export type AppOptions = {
  readonly version: string;
  readonly load: readonly string[] | "all";
  readonly exit: (code: number) => void;
};

/** Builds the application with the commands that are needed; the others are names with briefs. */
export async function buildApp(options: AppOptions): Promise<Application<CliContext>> {
  const routes = await toTargets(ROUTES, [], options);
  const map = buildRouteMap({ routes, docs: { brief: "ppml" } });
  const root = { ...map, formatHelp: (args: { ansiColor: boolean }) => rootHelp(args.ansiColor) };
  return buildApplication(root, {
    name: "ppml",
    versionInfo: { currentVersion: options.version },
    scanner: {
      caseStyle: "allow-kebab-for-camel",
      allowArgumentEscapeSequence: true,
      distanceOptions: DISTANCE,
    },
    documentation: { caseStyle: "convert-camel-to-kebab" },
    localization: { text: TEXT },
  });
}

async function toTargets(
  routes: Routes,
  above: readonly string[],
  options: AppOptions,
): Promise<Record<string, Target>> {
  const targets: Record<string, Target> = {};
  for (const [name, route] of Object.entries(routes)) {
    const path = [...above, name];
    if (isNoun(route)) {
      const commands = await toTargets(route.commands, path, options);
      const map = buildRouteMap({ routes: commands, docs: { brief: route.brief } });
      const help = (args: { ansiColor: boolean }) =>
        nounHelp(path.join(" "), route, args.ansiColor);
      targets[name] = { ...map, formatHelp: help };
      continue;
    }
    const { load } = options;
    const isWanted = load === "all" || path.every((word, index) => load[index] === word);
    targets[name] = await toCommand(route, isWanted, options);
  }
  return targets;
}

async function toCommand(
  route: CommandRoute,
  isWanted: boolean,
  options: AppOptions,
): Promise<Command<CliContext>> {
  if (isWanted) return (await route.load()).command(route.brief, options.exit);
  return buildCommand<CommonFlags, [], CliContext>({
    docs: { brief: route.brief },
    parameters: { flags: commonFlags },
    func() {
      throw new PpmlError("base.internal", "a command was run that was not loaded");
    },
  });
}

/** A proposal is at most two typing errors away: farther ones mislead. */
const DISTANCE = {
  threshold: 2,
  weights: { insertion: 1, deletion: 1, substitution: 1, transposition: 1 },
};

const TEXT: ApplicationText = {
  ...text_en,
  briefs: {
    ...text_en.briefs,
    help: "Print this help",
    argumentEscapeSequence: "Take all that follows as arguments",
  },
  noCommandRegisteredForInput: ({ input, corrections }) => {
    if (input.startsWith("-")) return `there is no flag ${input} here: flags follow the command`;
    return `there is no command \`${input}\`${didYouMean(corrections)}`;
  },
  exceptionWhileParsingArguments: (error) =>
    error instanceof ArgumentScannerError
      ? formatMessageForArgumentScannerError(error, {
          ArgumentParseError: parseErrorMessage,
          FlagNotFoundError: ({ input, corrections }) =>
            `there is no flag --${input} here${didYouMean(corrections.map((name) => `--${name}`))}`,
          AliasNotFoundError: ({ input }) => `there is no flag -${input} here`,
          UnsatisfiedFlagError: ({ externalFlagName }) => `--${externalFlagName} needs a value`,
          UnexpectedFlagError: ({ externalFlagName }) => `--${externalFlagName} is given twice`,
          UnexpectedPositionalError: ({ expectedCount, input }) =>
            `expected ${expectedCount === 0 ? "no arguments" : `at most ${expectedCount} argument${expectedCount === 1 ? "" : "s"}`}; came one more: "${shownArgument(input)}"`,
          UnsatisfiedPositionalError: ({ placeholder }) => `the argument ${placeholder} is missing`,
          EnumValidationError: ({ externalFlagName, input, values }) =>
            `--${externalFlagName}: expected ${values.join(", ")}; came "${shownArgument(input)}"`,
        })
      : String(error),
};

function didYouMean(names: readonly string[]): string {
  return names.length > 0 ? `: did you mean ${names.join(" or ")}?` : "";
}

function parseErrorMessage(error: ArgumentParseError): string {
  const { externalFlagNameOrPlaceholder: name, input, exception } = error;
  const where = name === name.toUpperCase() ? name : `--${name}`;
  const why = exception instanceof Error ? exception.message : String(exception);
  return `${where}: ${why}; came "${shownArgument(input)}"`;
}
