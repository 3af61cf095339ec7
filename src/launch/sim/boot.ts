import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { fromBase64Url, PpmlError } from "../../base/index.ts";
import type { SimulatedPlatform } from "../../attest/sim/platform.ts";
import { onProcessEnd } from "./process-end.ts";
import type { Snapshot } from "./snapshot.ts";

const MAX_LINE_BYTES = 16 * 1024 * 1024;
const STDERR_BYTES = 64 * 1024;
const SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** How a simulated TEE ended. */
export type TeeExit = {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** At most 64 KiB, for diagnosis. */
  readonly stderr: string;
};

/**
 * Boots a snapshot as a simulated TEE: its Node with its own command line and an empty environment.
 * The launch request is its standard input; each line of its standard output is an event; on
 * descriptor 3 it asks for Evidence. The report data comes from the TEE, the measurement never does.
 * @throws launch.failed where it cannot be started or passes `timeoutMs`
 */
export async function bootSimulatedTee(options: {
  readonly snapshot: Snapshot;
  readonly platform: SimulatedPlatform;
  readonly launchRequest: Uint8Array;
  readonly timeoutMs: number;
  /** Gets each line's JSON value; not trusted. */
  readonly onEvent: (event: unknown) => void;
}): Promise<TeeExit> {
  const { snapshot, platform } = options;
  const child = spawn(snapshot.nodePath, [...snapshot.command], {
    cwd: snapshot.directory,
    env: { PATH: SYSTEM_PATH, LANG: "C.UTF-8", TZ: "UTC" },
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    detached: true,
  });
  const killAll = (): void => {
    killGroup(child);
  };
  using _end = onProcessEnd(killAll);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    killAll();
  }, options.timeoutMs);
  try {
    const stderr = capture(child);
    serveAttestation(child.stdio[3] as Duplex, { snapshot, platform });
    const events = readEvents(child, options.onEvent);
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.launchRequest);
    const exit = await exitOf(child);
    await events;
    if (isLate)
      throw new PpmlError("launch.failed", `the TEE ran longer than ${options.timeoutMs} ms`);
    return { ...exit, stderr: stderr() };
  } finally {
    clearTimeout(timer);
    killAll();
  }
}

/** Answers requests for Evidence, one JSON line each, until the TEE is gone. */
function serveAttestation(
  channel: Duplex,
  tee: { readonly snapshot: Snapshot; readonly platform: SimulatedPlatform },
): void {
  channel.on("error", () => undefined);
  const lines = createInterface({ input: channel, crlfDelay: Infinity });
  lines.on("line", (line) => {
    channel.write(`${JSON.stringify(answer(line, tee))}\n`);
  });
}

function answer(
  line: string,
  tee: { readonly snapshot: Snapshot; readonly platform: SimulatedPlatform },
): { readonly evidence: unknown } | { readonly error: string } {
  try {
    const request: unknown = JSON.parse(line);
    if (typeof request !== "object" || request === null || !("reportData" in request))
      return { error: "expected {reportData}" };
    const reportData = fromBase64Url(String(request.reportData));
    const { measurement } = tee.snapshot;
    return { evidence: tee.platform.attest({ measurement, reportData }) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : "the request is not valid" };
  }
}

async function readEvents(child: ChildProcess, onEvent: (event: unknown) => void): Promise<void> {
  if (child.stdout === null) return;
  let pending = "";
  child.stdout.setEncoding("utf8");
  for await (const chunk of child.stdout as AsyncIterable<string>) {
    pending += chunk;
    const lines = pending.split("\n");
    pending = lines.pop() ?? "";
    if (pending.length > MAX_LINE_BYTES) {
      killGroup(child);
      throw new PpmlError("launch.failed", "the TEE wrote an event that is too long");
    }
    for (const line of lines) onEvent(eventOf(line));
  }
}

function eventOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new PpmlError("launch.failed", "the TEE wrote a line that is not an event", { cause });
  }
}

function capture(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    if (text.length < STDERR_BYTES) text += chunk.toString("utf8").slice(0, STDERR_BYTES);
  });
  return () => text;
}

function exitOf(child: ChildProcess): Promise<Omit<TeeExit, "stderr">> {
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => {
      reject(new PpmlError("launch.failed", "the TEE cannot be started", { cause }));
    });
    child.once("close", (exitCode, signal) => {
      resolve({ exitCode, signal });
    });
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // The group is gone already.
  }
}
