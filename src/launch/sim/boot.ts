import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { Duplex } from "node:stream";
import type { Readable } from "node:stream";
import type { SimulatedPlatform } from "../../attest/index.ts";
import { PpmlError } from "../../base/index.ts";
import { serveAttestation } from "./attestation-channel.ts";
import { onProcessEnd } from "./process-end.ts";
import type { Snapshot } from "./snapshot.ts";

/** Longest event line in bytes. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
/** How much of the TEE's stderr is kept. */
const MAX_STDERR_BYTES = 64 * 1024;
/** After the end, how long output still in the pipes may take. */
const DRAIN_MS = 2000;
/** For the system's own tools, such as unshare; nothing else of the host's environment gets in. */
const SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** How a simulated TEE ended. */
export type TeeExit = {
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** It was ended because of `timeoutMs`. */
  readonly timedOut: boolean;
  /** The first 64 KiB, for diagnostics; not to be trusted, and never shown as a result. */
  readonly stderr: string;
};

/**
 * Runs a snapshot as a simulated TEE until it ends: its own Node with fixed flags and the first entry,
 * an empty environment but for PATH, `launchRequest` on stdin, events (one JSON line each, given to
 * `onEvent` as they come) on stdout, the attestation channel as descriptor 3, answered with the
 * snapshot's measurement. Its process group ends with it, after `timeoutMs`, at `stop`, and with this process.
 * @throws launch.failed where it cannot be started or says what is no event; what `onEvent` throws
 */
export async function bootSimulatedTee(options: {
  readonly snapshot: Snapshot;
  readonly platform: SimulatedPlatform;
  readonly launchRequest: Uint8Array;
  readonly timeoutMs: number;
  /** Ends the TEE when it aborts; null where nothing but time does. */
  readonly stop: AbortSignal | null;
  readonly onEvent: (event: unknown) => void;
}): Promise<TeeExit> {
  const { snapshot, platform } = options;
  const child = spawn(snapshot.nodePath, snapshot.command, {
    cwd: snapshot.directory,
    env: { PATH: SYSTEM_PATH },
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    // A process group of its own, so that what it starts ends with it.
    detached: true,
  });
  const failure: { error?: unknown } = {};
  const fail = (error: unknown): void => {
    failure.error ??= error;
    killGroup(child);
  };
  const ended = endOf(child, fail);
  if (child.pid === undefined) throw await ended.then(() => failure.error);
  const atEnd = onProcessEnd(() => killGroup(child));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, options.timeoutMs);
  const stopNow = (): void => killGroup(child);
  options.stop?.addEventListener("abort", stopNow);
  try {
    if (options.stop?.aborted === true) stopNow();
    const channel = child.stdio[3];
    if (!(channel instanceof Duplex))
      throw new PpmlError("base.internal", "descriptor 3 is not a socket");
    serveAttestation({ channel, platform, measurement: snapshot.measurement });
    // A TEE that does not read its request to the end has its reasons; its events say them.
    child.stdin.on("error", () => child.stdin.destroy());
    child.stdin.end(options.launchRequest);
    const stderr = collect(child.stderr, MAX_STDERR_BYTES);
    const isCut = readEvents(child.stdout, options.onEvent, fail);
    const { exitCode, signal } = await ended;
    if ("error" in failure) throw failure.error;
    if (exitCode === 0 && isCut())
      throw new PpmlError("launch.failed", "the TEE ended in the middle of an event");
    return { exitCode, signal, timedOut, stderr: stderr() };
  } finally {
    clearTimeout(timer);
    options.stop?.removeEventListener("abort", stopNow);
    atEnd[Symbol.dispose]();
    if (child.exitCode === null && child.signalCode === null) killGroup(child);
  }
}

function endOf(
  child: ChildProcess,
  fail: (error: unknown) => void,
): Promise<Pick<TeeExit, "exitCode" | "signal">> {
  return new Promise((resolve) => {
    child.on("error", (cause) => {
      fail(
        new PpmlError("launch.failed", `the TEE's process did not start: ${cause.message}`, {
          cause,
        }),
      );
      if (child.pid === undefined) resolve({ exitCode: null, signal: null });
    });
    child.on("exit", () => {
      // What it left running could hold the pipes open for ever.
      killGroup(child);
      setTimeout(() => {
        for (const stream of child.stdio) stream?.destroy();
      }, DRAIN_MS).unref();
    });
    child.on("close", (exitCode, signal) => resolve({ exitCode, signal }));
  });
}

/** Line by line; the first that is not JSON, or is too long, ends the TEE. Tells of a line cut off. */
function readEvents(
  stdout: Readable,
  onEvent: (event: unknown) => void,
  fail: (error: unknown) => void,
): () => boolean {
  let parts: Buffer[] = [];
  let size = 0;
  const add = (part: Buffer): void => {
    parts.push(part);
    size += part.byteLength;
    if (size > MAX_EVENT_BYTES)
      throw new PpmlError("launch.failed", `the TEE wrote a line over ${MAX_EVENT_BYTES} bytes`);
  };
  const take = (chunk: Buffer): void => {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
      add(chunk.subarray(from, at));
      from = at + 1;
      const line = Buffer.concat(parts).toString("utf8");
      parts = [];
      size = 0;
      onEvent(parseEvent(line));
    }
    if (from < chunk.byteLength) add(chunk.subarray(from));
  };
  const stop = (error: unknown): void => {
    stdout.off("data", onData);
    // Read on without keeping anything, so that the end is seen.
    stdout.resume();
    parts = [];
    size = 0;
    fail(error);
  };
  function onData(chunk: Buffer): void {
    try {
      take(chunk);
    } catch (error) {
      stop(error);
    }
  }
  stdout.on("data", onData);
  return () => size > 0;
}

function parseEvent(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Without the cause, whose message quotes the line: that may hold anything.
    throw new PpmlError("launch.failed", "the TEE wrote a line that is no event (JSON)");
  }
}

function collect(stream: Readable, maxBytes: number): () => string {
  const parts: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    if (size < maxBytes) parts.push(chunk.subarray(0, maxBytes - size));
    size += chunk.byteLength;
  });
  return () => Buffer.concat(parts).toString("utf8");
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nobody of the group is left.
  }
}
