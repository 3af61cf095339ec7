import { Socket } from "node:net";
import { z } from "zod";
import { PpmlError, toBase64Url } from "../../base/index.ts";
import { wireEvidenceSchema } from "../../format/protocol.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { parseWith } from "../../format/schema.ts";
import type { Attester } from "./attester.ts";

/** Longest answer in bytes: Evidence and its collateral. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

const answerSchema = z.union([
  z.strictObject({ evidence: wireEvidenceSchema }),
  z.strictObject({ error: z.string().max(1000) }),
]);

/** The simulated TEE's Attester; it holds a descriptor until it is disposed of. */
export type SimChannelAttester = Attester &
  Disposable & {
    /** Resolves when the platform is gone, which a TEE does not outlive. */
    readonly closed: Promise<void>;
  };

/**
 * Opens the channel to the simulated platform: a socket that the TEE's process inherited as
 * descriptor `fd`. Requests and answers are lines of JSON; requests wait for each other.
 * @see docs/attestation.md section "The simulated platform's channel"
 */
export function openSimChannelAttester(fd: number): SimChannelAttester {
  let socket: Socket;
  try {
    socket = new Socket({ fd: fd, readable: true, writable: true });
  } catch (cause) {
    throw unavailable(`descriptor ${fd} is not the simulated platform's channel`, cause);
  }
  const lines = lineReader(socket);
  // An idle channel does not keep the TEE's process running.
  socket.unref();
  let last: Promise<unknown> = Promise.resolve();
  const request = async (reportData: Uint8Array): Promise<WireEvidence> => {
    socket.ref();
    try {
      const line = lines.next();
      socket.write(`${JSON.stringify({ reportData: toBase64Url(reportData) })}\n`);
      return parseAnswer(await line);
    } finally {
      socket.unref();
    }
  };
  return {
    evidenceType: "sim-snp",
    closed: lines.closed,
    attest: (reportData) => {
      const turn = last.then(
        () => request(reportData),
        () => request(reportData),
      );
      last = turn;
      return turn;
    },
    [Symbol.dispose]: () => {
      socket.destroy();
    },
  };
}

function parseAnswer(line: string): WireEvidence {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw unavailable("the simulated platform's answer is not JSON", cause);
  }
  const answer = parseWith(answerSchema, value, {
    what: "the simulated platform's answer",
    code: "attest.unavailable",
  });
  if ("error" in answer) throw unavailable(`the simulated platform refused: ${answer.error}`);
  return answer.evidence;
}

/** Gives one line a call; a longer one than allowed, or the end, fails this and all later calls. */
function lineReader(socket: Socket): {
  readonly next: () => Promise<string>;
  readonly closed: Promise<void>;
} {
  let buffered: Buffer[] = [];
  let size = 0;
  let waiting: { resolve: (line: string) => void; reject: (error: unknown) => void } | null = null;
  let ended = false;
  const closed = Promise.withResolvers<void>();
  const end = (cause?: unknown): void => {
    ended = true;
    socket.destroy();
    waiting?.reject(unavailable("the simulated platform closed its channel", cause));
    waiting = null;
    closed.resolve();
  };
  socket.on("error", end);
  socket.on("close", () => end());
  socket.on("data", (chunk: Buffer) => {
    size += chunk.byteLength;
    // An answer that nobody asked for, or one without end, is not the platform's.
    if (waiting === null || size > MAX_ANSWER_BYTES) return end();
    buffered.push(chunk);
    if (!chunk.includes(0x0a)) return;
    const text = Buffer.concat(buffered).toString("utf8");
    if (text.indexOf("\n") !== text.length - 1) return end();
    buffered = [];
    size = 0;
    const { resolve } = waiting;
    waiting = null;
    resolve(text.slice(0, -1));
  });
  return {
    closed: closed.promise,
    next: () =>
      new Promise((resolve, reject) => {
        if (ended) reject(unavailable("the simulated platform closed its channel"));
        else waiting = { resolve, reject };
      }),
  };
}

function unavailable(message: string, cause?: unknown): PpmlError {
  return new PpmlError("attest.unavailable", message, cause === undefined ? {} : { cause });
}
