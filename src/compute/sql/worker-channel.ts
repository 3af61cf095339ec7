import type { Duplex } from "node:stream";
import { fromUtf8, PpmlError, Secret, utf8 } from "../../base/index.ts";
import type { ByteSource } from "../../base/index.ts";
import { FRAME, MAX_PAYLOAD_BYTES, readFrames, sendFrame } from "./frames.ts";
import type { Frame, FrameType } from "./frames.ts";
import { failureOf, wireFailure } from "./wire-failure.ts";
import type { Progress, WorkerResult, WorkerTask } from "./task.ts";

/** The worker's end of the channel: it asks the launcher, and gives it what it made. */
export type WorkerChannel = {
  /** The first frame: the task. */
  readonly task: Promise<WorkerTask>;
  /** Ciphertext of a file of the task. */
  source(at: { readonly input: number; readonly file: number; readonly size: number }): ByteSource;
  /** A DEK of 32 bytes. @throws what the launcher answers */
  key(kind: number, material: Uint8Array): Promise<Secret>;
  /** The next bytes of the sealed result of the query at a place. */
  output(query: number, bytes: Uint8Array): Promise<void>;
  progress(progress: Progress): Promise<void>;
  done(result: WorkerResult): Promise<void>;
  fail(error: unknown): Promise<void>;
};

const READ_BYTES = MAX_PAYLOAD_BYTES / 2;

type Pending = {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
};

/** Opens the channel over the inherited duplex descriptor. */
export function openWorkerChannel(channel: Duplex): WorkerChannel {
  const pending = new Map<number, Pending>();
  const task = Promise.withResolvers<WorkerTask>();
  let lastId = 0;
  const fail = (error: unknown): void => {
    task.reject(error);
    for (const waiting of pending.values()) waiting.reject(error);
    pending.clear();
  };
  const listen = async (): Promise<void> => {
    for await (const frame of readFrames(channel)) {
      if (frame.type === FRAME.task)
        task.resolve(JSON.parse(fromUtf8(frame.payload)) as WorkerTask);
      else settle(pending, frame);
    }
    throw new PpmlError("compute.worker", "the launcher closed the channel");
  };
  listen().catch(fail);
  const ask = (type: FrameType, payload: Uint8Array): Promise<Uint8Array> => {
    lastId += 1;
    const id = lastId;
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      pending.set(id, { resolve, reject });
    });
    sendFrame(channel, { type, id, payload }).catch(fail);
    return answer;
  };
  const tell = (type: FrameType, value: unknown): Promise<void> =>
    sendFrame(channel, { type, payload: utf8(JSON.stringify(value)) });
  return {
    task: task.promise,
    source: ({ input, file, size }) => ({
      size,
      read: async (offset, length) => {
        const pieces: Promise<Uint8Array>[] = [];
        for (let done = 0; done < length; done += READ_BYTES) {
          const wanted = Math.min(READ_BYTES, length - done);
          const request = { input, file, offset: offset + done, length: wanted };
          pieces.push(ask(FRAME.read, utf8(JSON.stringify(request))));
        }
        return joined(await Promise.all(pieces), length);
      },
    }),
    key: async (kind, material) => {
      const payload = new Uint8Array(1 + material.byteLength);
      payload[0] = kind;
      payload.set(material, 1);
      const bytes = await ask(FRAME.key, payload);
      const key = Secret.copy(bytes);
      bytes.fill(0);
      return key;
    },
    output: (query, bytes) => sendFrame(channel, { type: FRAME.output, id: query, payload: bytes }),
    progress: (progress) => tell(FRAME.progress, progress),
    done: (result) => tell(FRAME.done, result),
    fail: (error) => tell(FRAME.failure, wireFailure(error)),
  };
}

function settle(pending: Map<number, Pending>, frame: Frame): void {
  const waiting = pending.get(frame.id);
  pending.delete(frame.id);
  if (frame.type === FRAME.bytes) waiting?.resolve(frame.payload);
  else if (frame.type === FRAME.failure) waiting?.reject(failureOf(frame.payload));
  else waiting?.reject(new PpmlError("compute.worker", `unexpected frame type ${frame.type}`));
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = pieces;
  const bytes = pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
  if (bytes.byteLength !== length)
    throw new PpmlError("compute.worker", `asked for ${length} bytes, got ${bytes.byteLength}`);
  return bytes;
}
