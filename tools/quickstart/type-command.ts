import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** The launcher of the clone. */
export const PPML = join(import.meta.dirname, "../../bin/ppml");

const isColor = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;

/** Text in bold, where stdout is a terminal that wants colours. */
export const bold = (text: string): string => (isColor ? `\u001b[1m${text}\u001b[0m` : text);
/** Dim text, on the same condition. */
export const dim = (text: string): string => (isColor ? `\u001b[2m${text}\u001b[0m` : text);

/** How much of a command's output is shown. */
export type Shown = "all" | "last" | "nothing";

/**
 * Runs ppml as a person would, shows the command and its output, and gives the exit code. On a
 * terminal, what it says on stderr goes there at once, with the progress bar of long steps; `stderr`
 * is then empty, unless nothing is to be shown.
 */
export function typeCommand(
  args: readonly string[],
  options: { readonly folder: string; readonly shown: Shown },
): { readonly status: number; readonly stderr: string } {
  const { folder, shown } = options;
  console.log(dim(`$ ppml ${args.map(quoted).join(" ")}`));
  const talk = process.stdout.isTTY && shown !== "nothing" ? "inherit" : "pipe";
  const run = spawnSync(PPML, args, {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 1 << 26,
    stdio: ["inherit", "pipe", talk],
  });
  // Null where it went to the terminal.
  const stderr = run.stderr ?? "";
  const lines = `${stderr}${run.stdout}`.trimEnd().split("\n");
  const kept = shown === "all" ? lines : shown === "last" ? lines.slice(-1) : [];
  for (const line of kept) console.log(`  ${line}`);
  return { status: run.status ?? 1, stderr };
}

function quoted(arg: string): string {
  return /^[A-Za-z0-9_./=:-]+$/.test(arg) ? arg : `'${arg}'`;
}
