import type { Duplex } from "node:stream";
import { PpmlError } from "../../base/index.ts";

/**
 * The launcher and its worker talk in frames over one inherited descriptor:
 * u32le length of what follows, u8 type, u32le id, payload.
 * An answer carries the id of its question.
 */
export const FRAME = {
  /** Launcher to worker: JSON of WorkerTask. Keys never travel in it. */
  task: 1,
  /** Worker to launcher: JSON {input, file, offset, length}; answered by `bytes`. */
  read: 2,
  /** Launcher to worker: bytes asked for: a range of ciphertext, or a DEK. */
  bytes: 3,
  /** Worker to launcher: u8 kind (1 table, 2 file, 3 result), then key metadata, header or u32le query; answered by `bytes`. */
  key: 4,
  /** Worker to launcher: the next bytes of a sealed result; the id is its query's place. */
  output: 5,
  /** Worker to launcher: JSON of WorkerResult. */
  done: 6,
  /** Either way: JSON {code, message, detail}; with an id it answers that question. */
  failure: 7,
  /** Worker to launcher: JSON {step, done, total}. */
  progress: 8,
} as const;
export type FrameType = (typeof FRAME)[keyof typeof FRAME];

/** First byte of a `key` frame: what the rest is. */
export const KEY_OF = {
  /** PKMT1 key metadata of a table's footer or column. */
  table: 1,
  /** The 4,096 header bytes of a sealed file. */
  file: 2,
  /** u32le: the query whose result's DEK it is. */
  result: 3,
} as const;

export type Frame = { readonly type: number; readonly id: number; readonly payload: Uint8Array };

const HEADER_BYTES = 9;
/** Largest payload: a read is split below this. */
export const MAX_PAYLOAD_BYTES = 32 * 1024 * 1024;

/** Sends frames, waiting where the other side is slow. */
export async function sendFrame(
  channel: Duplex,
  frame: { readonly type: FrameType; readonly id?: number; readonly payload: Uint8Array },
): Promise<void> {
  const { payload } = frame;
  if (payload.byteLength > MAX_PAYLOAD_BYTES)
    throw new PpmlError("base.internal", `frame of ${payload.byteLength} bytes is too large`);
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, 5 + payload.byteLength, true);
  view.setUint8(4, frame.type);
  view.setUint32(5, frame.id ?? 0, true);
  channel.cork();
  channel.write(header);
  const hasRoom = channel.write(payload);
  channel.uncork();
  if (!hasRoom && !channel.destroyed) await drained(channel);
}

/**
 * Yields the frames of a channel until it ends.
 * @throws compute.worker where the bytes are not frames or end inside one
 */
export async function* readFrames(channel: Duplex): AsyncGenerator<Frame> {
  const pending = new ByteQueue();
  for await (const chunk of channel as AsyncIterable<Buffer>) {
    pending.push(chunk);
    for (;;) {
      const length = pending.peekUint32();
      if (length === null) break;
      if (length < 5 || length > MAX_PAYLOAD_BYTES + 5)
        throw new PpmlError("compute.worker", `frame length ${length} is out of bounds`);
      if (pending.length < 4 + length) break;
      const bytes = pending.take(4 + length);
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      yield {
        type: view.getUint8(4),
        id: view.getUint32(5, true),
        payload: bytes.subarray(HEADER_BYTES),
      };
    }
  }
  if (pending.length > 0) throw new PpmlError("compute.worker", "the channel ended inside a frame");
}

function drained(channel: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      channel.off("drain", done);
      channel.off("close", done);
      resolve();
    };
    channel.on("drain", done);
    channel.on("close", done);
  });
}

/** Bytes that arrive in pieces and leave in frames: each byte is copied at most once. */
class ByteQueue {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  push(part: Uint8Array): void {
    this.#parts.push(part);
    this.length += part.byteLength;
  }

  peekUint32(): number | null {
    if (this.length < 4) return null;
    const head = this.#parts[0];
    if (head !== undefined && head.byteLength >= 4)
      return new DataView(head.buffer, head.byteOffset).getUint32(0, true);
    const joined = Buffer.concat(this.#parts);
    this.#parts.splice(0, this.#parts.length, joined);
    return joined.readUInt32LE(0);
  }

  take(length: number): Uint8Array {
    const out = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const part = this.#parts[0];
      if (part === undefined) throw new PpmlError("base.internal", "byte queue is empty");
      const wanted = Math.min(part.byteLength, length - filled);
      out.set(part.subarray(0, wanted), filled);
      filled += wanted;
      if (wanted === part.byteLength) this.#parts.shift();
      else this.#parts[0] = part.subarray(wanted);
    }
    this.length -= length;
    return out;
  }
}
