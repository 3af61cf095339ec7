import type { CommandContext } from "@stricli/core";
import { type Clock, PpmlError } from "../base/index.ts";
import { type Progress, startProgress } from "./output/progress.ts";
import { createStyle, type Style, wantsColor } from "./output/style.ts";

/** What a command may use of the outside world; `this` of nothing, passed to `run`. */
export type CliContext = CommandContext & {
  /** Absolute path that relative arguments start from. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** True with `--json`: then stdout gets one JSON document and nothing else. */
  readonly isJson: boolean;
  /** Emphasis for stdout. */
  readonly style: Style;
  /** Emphasis for stderr. */
  readonly talkStyle: Style;
  /** Writes a piece of the result to stdout, waiting until it is taken. @throws cli.output */
  readonly write: (piece: string | Uint8Array) => Promise<void>;
  /** True once the reader of stdout is gone: a long output may stop. */
  readonly isOutputClosed: () => boolean;
  /** Writes a line to stderr. */
  readonly talk: (line: string) => void;
  /** Begins a step whose progress shows on stderr when it takes longer than a second. */
  readonly progress: (step: { readonly label: string; readonly total?: number }) => Progress;
};

/** A stream of bytes out, and whether it is a terminal. */
export type HostStream = NodeJS.WritableStream & {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
};

/** The part of Node's `process` that the command line needs. */
export type Host = {
  readonly stdout: HostStream;
  readonly stderr: HostStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: () => string;
};

/** Builds the context of one run. */
export function createContext(
  host: Host,
  options: { readonly isJson: boolean; readonly captured: CommandContext["process"] },
): CliContext {
  const { stdout, stderr, env } = host;
  let isClosed = false;
  // Without a listener the error would end the process; the write that failed is told by its callback.
  stdout.on("error", () => {
    isClosed = true;
  });
  stderr.on("error", () => undefined);
  const port = {
    write: (text: string) => void stderr.write(text),
    isTty: stderr.isTTY === true,
    columns: stderr.columns === undefined || stderr.columns <= 0 ? 80 : stderr.columns,
    now: Date.now,
  };
  return {
    process: options.captured,
    cwd: host.cwd(),
    env,
    clock: Date.now,
    isJson: options.isJson,
    style: createStyle(wantsColor(stdout, env)),
    talkStyle: createStyle(wantsColor(stderr, env)),
    write: (piece) => (isClosed ? Promise.resolve() : writeAll(stdout, piece)),
    isOutputClosed: () => isClosed,
    talk: (line) => void stderr.write(`${line}\n`),
    progress: (step) => startProgress(port, step),
  };
}

function writeAll(stream: HostStream, piece: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) =>
    stream.write(piece, (cause?: NodeJS.ErrnoException | null) => {
      // A reader that left (`| head`) is no failure; anything else that breaks stdout is one.
      if (cause === undefined || cause === null || cause.code === "EPIPE") resolve();
      else reject(outputError(cause));
    }),
  );
}

function outputError(cause: NodeJS.ErrnoException): PpmlError {
  const remedy = "what the command did is done: free some space, or send the output elsewhere";
  const message = `the result cannot be written to standard output (${cause.message})`;
  return new PpmlError("cli.output", message, { cause, detail: { remedy } });
}
