import { PpmlError } from "../../base/index.ts";

/** One thing that is wrong in ppml.yaml, and where. */
export type Problem = {
  readonly line: number;
  readonly column: number;
  /** Such as `datasets.flights.groups[0].kek`; empty for the whole file. */
  readonly path: string;
  readonly message: string;
};

const MAX_SHOWN = 20;

/** Makes the error that names every problem (the first 20) in the order of the lines. */
export function problemsError(fileName: string, problems: readonly Problem[]): PpmlError {
  const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
  const lines = sorted.slice(0, MAX_SHOWN).map((problem) => lineOf(fileName, problem));
  const more = sorted.length > MAX_SHOWN ? [`and ${sorted.length - MAX_SHOWN} more`] : [];
  const [only] = lines;
  const message =
    lines.length === 1 && only !== undefined
      ? only
      : [`${fileName} has ${sorted.length} problems:`, ...lines, ...more].join("\n  ");
  return new PpmlError("config.invalid", message, {
    detail: { file: fileName, problems: sorted.slice(0, MAX_SHOWN) },
  });
}

function lineOf(fileName: string, problem: Problem): string {
  const { line, column, path, message } = problem;
  return `${fileName}:${line}:${column}: ${path === "" ? "" : `${path}: `}${message}`;
}
