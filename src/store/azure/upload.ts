import type { BlockBlobClient } from "@azure/storage-blob";
import type { Chunks } from "../store.ts";
import { BLOCK_BYTES, blockBytes, makeBlockIds } from "./blocks.ts";
import type { Budget } from "./budget.ts";
import { withRetries } from "./retry.ts";
import type { RetryPolicy } from "./retry.ts";

/** A block that is uploaded, and not yet part of the object. */
export type StagedBlock = { readonly id: string; readonly length: number };

/** Where and how blocks are uploaded. */
export type StageTarget = {
  readonly client: BlockBlobClient;
  readonly retries: RetryPolicy;
  /** Of the whole store, so that many uploads at once do not need more memory than one. */
  readonly budget: Budget;
  /** Buffers of BLOCK_BYTES that are free. */
  readonly spare: Uint8Array[];
};

const MAX_SPARE = 8;

/**
 * Uploads chunks as blocks, several at once, and gives the blocks in order. Nothing of it shows until
 * the blocks are committed. Ends at once where a block fails or the chunks throw.
 * @param options.headBytes how many bytes at the beginning are a block of their own; 0 for none
 * @throws what the chunks throw; errors of the SDK
 */
export async function stageChunks(
  target: StageTarget,
  chunks: Chunks,
  options: {
    readonly headBytes: number;
    readonly recycle?: ((chunk: Uint8Array) => void) | undefined;
  },
): Promise<StagedBlock[]> {
  const uploads = startUploads(target);
  const { headBytes, recycle } = options;
  let current: Filling | null = null;
  try {
    for await (const chunk of chunks) {
      for (let done = 0; done < chunk.byteLength;) {
        current ??= await uploads.open(blockBytes(uploads.count(), headBytes));
        const piece = chunk.subarray(done, done + current.capacity - current.filled);
        current.buffer.set(piece, current.filled);
        current.filled += piece.byteLength;
        done += piece.byteLength;
        if (current.filled < current.capacity) continue;
        uploads.send(current);
        current = null;
      }
      recycle?.(chunk);
      uploads.check();
    }
    if (current !== null) uploads.send(current);
    current = null;
    return await uploads.finish();
  } catch (error) {
    if (current !== null) uploads.discard(current);
    await uploads.stop();
    throw error;
  }
}

/** Uploads one block's bytes, which must not change meanwhile. */
export async function stageBytes(
  target: Pick<StageTarget, "client" | "retries">,
  id: string,
  bytes: Uint8Array,
): Promise<void> {
  await withRetries(target.retries, () => target.client.stageBlock(id, bytes, bytes.byteLength));
}

type Filling = { readonly buffer: Uint8Array; readonly capacity: number; filled: number };

function startUploads(target: StageTarget) {
  const { client, retries, budget, spare } = target;
  const idOf = makeBlockIds();
  const blocks: StagedBlock[] = [];
  const running = new Set<Promise<void>>();
  const abort = new AbortController();
  const failed: unknown[] = [];
  const discard = ({ buffer, capacity }: Filling): void => {
    if (buffer.byteLength === BLOCK_BYTES && spare.length < MAX_SPARE) spare.push(buffer);
    budget.give(capacity);
  };
  const upload = async (id: string, block: Filling): Promise<void> => {
    const { signal } = abort;
    const body = block.buffer.subarray(0, block.filled);
    try {
      const options = { abortSignal: signal };
      await withRetries(
        retries,
        () => client.stageBlock(id, body, body.byteLength, options),
        signal,
      );
    } catch (error) {
      failed.push(error);
      abort.abort();
    } finally {
      discard(block);
    }
  };
  const check = (): void => {
    // The first one: the others are the aborts that it caused.
    if (failed.length > 0) throw failed[0];
  };
  return {
    count: () => blocks.length,
    check,
    discard,
    open: async (capacity: number): Promise<Filling> => {
      await budget.take(capacity);
      const known = capacity <= BLOCK_BYTES ? spare.pop() : undefined;
      const buffer = known ?? new Uint8Array(Math.max(capacity, BLOCK_BYTES));
      return { buffer, capacity, filled: 0 };
    },
    send: (block: Filling): void => {
      const id = idOf(blocks.length);
      blocks.push({ id, length: block.filled });
      const one = upload(id, block).finally(() => running.delete(one));
      running.add(one);
    },
    finish: async (): Promise<StagedBlock[]> => {
      await Promise.all(running);
      check();
      return blocks;
    },
    stop: async (): Promise<void> => {
      abort.abort();
      await Promise.all(running);
    },
  };
}
