import { readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { ExitCode, run } from "@stricli/core";
import { PpmlError } from "../base/index.ts";
import { buildApp } from "./app.ts";
import { writeError } from "./command.ts";
import { completionLines } from "./completion.ts";
import { type CliContext, createContext, type Host } from "./context.ts";
import { errorJson, renderError } from "./output/error-report.ts";
import { wantsColor } from "./output/style.ts";
import { isNoun, ROUTES } from "./routes.ts";

/** The hidden command that completion scripts call with the words so far. */
const COMPLETE_COMMAND = "__complete";

/**
 * Runs one command line and gives its exit code: 0 done, 1 refused or failed, 2 usage.
 * @param options.loadsHelp true: a command's help is made from its file, not taken as generated
 */
export async function runCli(
  argv: readonly string[],
  host: Host,
  { loadsHelp = false }: { readonly loadsHelp?: boolean } = {},
): Promise<number> {
  const capture = captureStreams(host);
  const context = createContext(host, { isJson: wantsJson(argv), captured: capture.process });
  let exitCode = 0;
  const options = { version: loadVersion(), exit: (code: number) => void (exitCode = code) };
  try {
    if (argv[0] === COMPLETE_COMMAND) {
      const words = argv.slice(1);
      const app = await buildApp({ ...options, load: pathOf(words) });
      await context.write(await completionLines({ app, words, context }));
      return 0;
    }
    const page = loadsHelp ? null : await helpPage(argv, wantsColor(host.stdout, host.env));
    if (page !== null) {
      await context.write(page);
      return 0;
    }
    const app = await buildApp({ ...options, load: pathOf(argv) });
    await run(app, argv, context);
    const status = capture.process.exitCode;
    if (status === ExitCode.Success) {
      await context.write(capture.stdout());
      return exitCode;
    }
    const text = capture.stderr().trim();
    if (status !== ExitCode.UnknownCommand && status !== ExitCode.InvalidArgument)
      throw new PpmlError("base.internal", text);
    await writeUsageError(context, { message: text, path: pathOf(argv) });
    return 2;
  } catch (error) {
    await writeError(context, error);
    return 1;
  }
}

/** The version of package.json, which lies two folders above both src/cli and dist/cli. */
export function loadVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const json: unknown = JSON.parse(text);
  if (typeof json === "object" && json !== null && "version" in json)
    return typeof json.version === "string" ? json.version : "unknown";
  return "unknown";
}

/** The names at the front of the command line that lead to a command. */
function pathOf(argv: readonly string[]): readonly string[] {
  const path: string[] = [];
  let routes = ROUTES;
  for (const word of argv) {
    const route = Object.hasOwn(routes, word) ? routes[word] : undefined;
    if (route === undefined) return path;
    path.push(word);
    if (!isNoun(route)) return path;
    routes = route.commands;
  }
  return path;
}

/**
 * The help of a command, where it alone is asked for, as it was generated: a command's file loads
 * all that the command needs. Null for everything else.
 */
async function helpPage(argv: readonly string[], hasColor: boolean): Promise<string | null> {
  const path = argv.slice(0, -1);
  const flag = argv.at(-1);
  if ((flag !== "--help" && flag !== "-h") || pathOf(path).length !== path.length) return null;
  const { HELP_PAGES } = await import("./help-pages.ts");
  const page = HELP_PAGES.get(path.join(" "));
  if (page === undefined) return null;
  return hasColor ? page : stripVTControlCharacters(page);
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return argv.slice(0, end < 0 ? argv.length : end).includes("--json");
}

async function writeUsageError(
  context: CliContext,
  usage: { readonly message: string; readonly path: readonly string[] },
): Promise<void> {
  const remedy = `${["ppml", ...usage.path].join(" ")} --help`;
  const report = { code: "cli.usage", message: usage.message, detail: { remedy } } as const;
  if (context.isJson) await context.write(errorJson(report));
  else context.talk(renderError(report, context.talkStyle).trimEnd());
}

/** stricli writes help and usage errors as text: they are kept, to go out in our own form. */
function captureStreams(host: Host) {
  let out = "";
  let err = "";
  const isColored = wantsColor(host.stdout, host.env);
  const process: Capture = {
    stdout: { write: (text) => void (out += text), getColorDepth: () => (isColored ? 8 : 1) },
    stderr: { write: (text) => void (err += text), getColorDepth: () => 1 },
  };
  return { process, stdout: () => out, stderr: () => err };
}

type Capture = {
  readonly stdout: { write: (text: string) => void; getColorDepth: () => number };
  readonly stderr: { write: (text: string) => void; getColorDepth: () => number };
  exitCode?: number | string | null;
};
