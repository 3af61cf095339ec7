import { displayWidth, padDisplay } from "./output/width.ts";
import { createStyle } from "./output/style.ts";
import { type NounRoute, ROUTES } from "./routes.ts";

/** `ppml --help`: every command with its brief. */
export function rootHelp(hasColor: boolean): string {
  return page({
    hasColor,
    intro: "Seal anywhere, open only inside attested code, prove every result.",
    usage: "ppml COMMAND [ARGUMENTS] [--json]",
    routes: ROUTES,
    flags: [
      ["-h --help", "Print this help; ppml COMMAND --help prints a command's"],
      ["-v --version", "Print the version"],
    ],
    close: "Exit: 0 done, 1 refused or failed, 2 usage. Errors are explained in docs/errors.md.",
  });
}

/** `ppml NOUN --help`: the commands below a noun. */
export function nounHelp(name: string, noun: NounRoute, hasColor: boolean): string {
  return page({
    hasColor,
    intro: `${noun.brief}.`,
    usage: `ppml ${name} COMMAND [ARGUMENTS] [--json]`,
    routes: noun.commands,
    flags: [["-h --help", `Print this help; ppml ${name} COMMAND --help prints a command's`]],
  });
}

function page(options: {
  readonly hasColor: boolean;
  readonly intro: string;
  readonly usage: string;
  readonly routes: Readonly<Record<string, { readonly brief: string }>>;
  readonly flags: readonly (readonly [name: string, brief: string])[];
  readonly close?: string;
}): string {
  const { bold } = createStyle(options.hasColor);
  const commands = Object.entries(options.routes).map(
    ([name, { brief }]) => [name, brief] as const,
  );
  const width = Math.max(...[...commands, ...options.flags].map(([name]) => displayWidth(name)));
  const list = (rows: readonly (readonly [string, string])[]) =>
    rows.map(([name, brief]) => `  ${bold(padDisplay(name, width))}  ${brief}`);
  const lines = [
    options.intro,
    "",
    bold("USAGE"),
    `  ${options.usage}`,
    "",
    bold("COMMANDS"),
    ...list(commands),
    "",
    bold("FLAGS"),
    ...list(options.flags),
    ...(options.close === undefined ? [] : ["", options.close]),
  ];
  return `${lines.join("\n")}\n`;
}
