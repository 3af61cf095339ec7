import { styleText } from "node:util";

/** Adds emphasis to text for a terminal, or leaves it plain where colours are not wanted. */
export type Style = {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly warn: (text: string) => string;
  readonly bad: (text: string) => string;
};

type Format = Parameters<typeof styleText>[0];

/** A style with or without colours. */
export function createStyle(hasColor: boolean): Style {
  const by = (format: Format) => (text: string) =>
    hasColor ? styleText(format, text, { validateStream: false }) : text;
  return {
    bold: by("bold"),
    dim: by("dim"),
    good: by("green"),
    warn: by("yellow"),
    bad: by("red"),
  };
}

/** Colours only on a terminal, and never with NO_COLOR. @see https://no-color.org */
export function wantsColor(
  stream: { readonly isTTY?: boolean | undefined },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  return stream.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}

/** The word that every simulated thing carries on the screen. */
export function simulatedMark(style: Style): string {
  return style.warn("SIMULATED");
}

/** The line that says what SIMULATED means, for the end of a command's talk. */
export const SIMULATED_NOTE = "SIMULATED: no hardware protects this; for development only.";
