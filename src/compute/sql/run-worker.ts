import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Duplex } from "node:stream";
import { isPpmlError, PpmlError, utf8 } from "../../base/index.ts";
import type { Secret } from "../../base/index.ts";
import { parseJson } from "../../format/jcs.ts";
import { parseWith } from "../../format/schema.ts";
import { cleanEnvironment } from "../sandbox.ts";
import type { Sandbox } from "../sandbox.ts";
import { memoryError, watch } from "../watchdog.ts";
import { FRAME, readFrames, sendFrame } from "./frames.ts";
import type { Frame } from "./frames.ts";
import { queryOf } from "./query-error.ts";
import type { QueryScope } from "./query-error.ts";
import { progressSchema, readRequestSchema, workerResultSchema, workerTaskSchema } from "./task.ts";
import type { Progress, WorkerOrder, WorkerResult, WorkerTask } from "./task.ts";
import { failureOf, wireFailure } from "./wire-failure.ts";

/** What the launcher does for its worker while that runs. */
export type WorkerServices = {
  /** Ciphertext of a file of the task. */
  readonly read: (at: {
    readonly input: number;
    readonly file: number;
    readonly offset: number;
    readonly length: number;
  }) => Promise<Uint8Array>;
  /** The open local file of a stored object, for the worker to inherit; null where there is none. */
  readonly descriptor: (at: { readonly input: number; readonly file: number }) => number | null;
  /** The DEK that `material` names, or the reason why not. */
  readonly key: (kind: number, material: Uint8Array) => Promise<Secret>;
  /** The next bytes of a query's sealed result; resolves when the next may come. */
  readonly output: (of: { readonly query: number; readonly bytes: Uint8Array }) => Promise<void>;
  readonly progress: (progress: Progress) => void;
};

/** Files that a worker inherits at most; it asks for the bytes of any others. */
const MAX_INHERITED = 256;
/** After the standard three and the channel. */
const FIRST_INHERITED = 4;
const STDERR_BYTES = 64 * 1024;

/**
 * Starts the engine's worker in its sandbox, serves it, and gives its result.
 * @throws what the worker found, compute.timeout, compute.memory, compute.worker; of several queries
 * the error names the one that ran
 */
export async function runSqlWorker(options: {
  readonly task: WorkerOrder;
  readonly services: WorkerServices;
  readonly sandbox: Sandbox;
  readonly nodePath: string;
  readonly entryPath: string;
  /** Environment names that the job allows. */
  readonly environment: readonly string[];
}): Promise<WorkerResult> {
  const { sandbox } = options;
  const { services, running } = followQueries(options.services, options.task.queries);
  const { task: order, inherited } = withInherited(options.task, services);
  // The worker takes it as it comes.
  const task = parseWith(workerTaskSchema, order, { what: "task" });
  const { settings } = task;
  const command = sandbox.command(options.nodePath, [
    "--disable-warning=ExperimentalWarning",
    "--disable-sigusr1",
    options.entryPath,
  ]);
  const child = spawn(command.file, command.args, {
    env: cleanEnvironment(options.environment, process.env),
    stdio: ["ignore", "ignore", "pipe", "pipe", ...inherited],
  });
  using watchdog = watch(child, settings);
  const exit = exitOf(child);
  const stderr = captured(child);
  const channel = child.stdio[3] as Duplex;
  channel.on("error", () => undefined);
  let served: WorkerResult | null = null;
  let failure: unknown = null;
  try {
    await sendFrame(channel, { type: FRAME.task, payload: utf8(JSON.stringify(task)) });
    // A service that hangs, such as a store that does not answer, must not outlast the job's limits.
    served = await Promise.race([serveWorker(channel, services), watchdog.passed]);
  } catch (error) {
    failure = error;
  }
  child.kill("SIGKILL");
  const status = await exit;
  const verdict = watchdog.verdict();
  if (verdict !== null) throw running().naming(verdict);
  if (failure !== null)
    throw describeFailure(failure, { status, stderr: stderr(), settings, query: running() });
  if (served === null)
    throw new PpmlError("base.internal", "the worker gave neither result nor error");
  return served;
}

/** Remembers which query the worker runs, as its progress says. */
function followQueries(
  services: WorkerServices,
  queries: WorkerOrder["queries"],
): { readonly services: WorkerServices; readonly running: () => QueryScope } {
  let at = -1;
  return {
    services: {
      ...services,
      progress: (progress) => {
        if (progress.step === "compute") at = progress.done;
        services.progress(progress);
      },
    },
    running: () => queryOf(queries, at),
  };
}

/** Settles under which descriptor the worker finds which file. */
function withInherited(
  order: WorkerOrder,
  services: WorkerServices,
): { readonly task: WorkerTask; readonly inherited: readonly number[] } {
  const inherited: number[] = [];
  const descriptors = order.inputs.map(({ files }, input) =>
    files.map((_, file) => {
      const descriptor = services.descriptor({ input, file });
      if (descriptor === null || inherited.length === MAX_INHERITED) return null;
      inherited.push(descriptor);
      return FIRST_INHERITED + inherited.length - 1;
    }),
  );
  return { task: { ...order, descriptors }, inherited };
}

/**
 * Answers a worker's questions over `channel` until it gives its result.
 * @throws what the worker found, compute.worker
 */
export async function serveWorker(
  channel: Duplex,
  services: WorkerServices,
): Promise<WorkerResult> {
  for await (const frame of readFrames(channel)) {
    switch (frame.type) {
      case FRAME.read:
      case FRAME.key:
        // Answered side by side: the worker has several questions under way.
        void answer(channel, frame, services);
        break;
      case FRAME.output:
        await services.output({ query: frame.id, bytes: frame.payload });
        break;
      case FRAME.progress:
        services.progress(parseWith(progressSchema, jsonOf(frame), { what: "worker progress" }));
        break;
      case FRAME.failure:
        throw failureOf(frame.payload);
      case FRAME.done:
        return parseWith(workerResultSchema, jsonOf(frame), {
          what: "worker result",
          code: "compute.worker",
        });
      default:
        throw new PpmlError("compute.worker", `the worker sent a frame of type ${frame.type}`);
    }
  }
  throw new PpmlError("compute.worker", "the worker ended without a result");
}

async function answer(channel: Duplex, frame: Frame, services: WorkerServices): Promise<void> {
  try {
    if (frame.type === FRAME.read) {
      const request = parseWith(readRequestSchema, jsonOf(frame), { what: "worker read" });
      const payload = await services.read(request);
      await sendFrame(channel, { type: FRAME.bytes, id: frame.id, payload });
      return;
    }
    using key = await services.key(frame.payload[0] ?? 0, frame.payload.subarray(1));
    const payload = key.expose((bytes) => Uint8Array.from(bytes));
    await sendFrame(channel, { type: FRAME.bytes, id: frame.id, payload });
  } catch (error) {
    const payload = utf8(JSON.stringify(wireFailure(error)));
    await sendFrame(channel, { type: FRAME.failure, id: frame.id, payload });
  }
}

function jsonOf(frame: Frame): unknown {
  return parseJson(frame.payload, "worker message");
}

function describeFailure(
  failure: unknown,
  end: {
    readonly status: string;
    readonly stderr: string;
    readonly settings: { readonly memoryMiB: number };
    readonly query: QueryScope;
  },
): unknown {
  if (isPpmlError(failure) && failure.code !== "compute.worker") return failure;
  if (/bad_alloc|out of memory|ENOMEM/i.test(end.stderr))
    return end.query.naming(memoryError(end.settings.memoryMiB));
  // What the worker printed may quote data: only how it ended is told.
  return end.query.naming(
    new PpmlError("compute.worker", `the worker ended without a result (${end.status})`, {
      cause: failure,
    }),
  );
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      resolve(error.message);
    });
    child.once("exit", (code, signal) => {
      resolve(signal === null ? `exit ${code ?? 0}` : signal);
    });
  });
}

function captured(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    if (text.length < STDERR_BYTES) text += chunk.toString("latin1");
  });
  return () => text;
}
