import { randomUUID } from "node:crypto";
import { PpmlError } from "../../base/index.ts";

const MIB = 1024 * 1024;
/** The service's bound on the blocks of one object. */
const MAX_BLOCKS = 50_000;
const STEP_BLOCKS = 10_000;
const MAX_BLOCK_BYTES = 1024 * MIB;
/** As long as the SDK's own: ids of one object, uncommitted leftovers included, have one length. */
const ID_BYTES = 48;

/** Bytes of the first ten thousand blocks; each further ten thousand are four times as large. */
export const BLOCK_BYTES = 8 * MIB;

/**
 * Bytes of the block at `index`, the block at 0 being `headBytes` long where that is not 0: what is
 * rewritten later is a block of its own.
 * @throws store.io for more than an object can have: about 10 TB
 */
export function blockBytes(index: number, headBytes: number): number {
  if (index >= MAX_BLOCKS)
    throw new PpmlError("store.io", `an object has at most ${MAX_BLOCKS} blocks: split the file`);
  if (index === 0 && headBytes > 0) return headBytes;
  return Math.min(BLOCK_BYTES * 4 ** Math.floor(index / STEP_BLOCKS), MAX_BLOCK_BYTES);
}

/**
 * Makes the ids of one writer's blocks: a random prefix, so that what another writer left behind, or
 * uploads now, is never taken for ours.
 */
export function makeBlockIds(): (index: number) => string {
  const prefix = randomUUID();
  return (index) => {
    const digits = String(index).padStart(ID_BYTES - prefix.length, "0");
    return Buffer.from(`${prefix}${digits}`).toString("base64");
  };
}

/** Whether a block that somebody committed can stay among ours: only ids of one length mix. */
export function isOurLength(blockId: string): boolean {
  return Buffer.from(blockId, "base64").byteLength === ID_BYTES;
}
