import type { ReplacePart } from "../store.ts";
import { isOurLength, makeBlockIds } from "./blocks.ts";
import type { StagedBlock } from "./upload.ts";

/** How one block of a new version comes to be. */
export type ReplaceStep =
  | { readonly kind: "reuse"; readonly block: StagedBlock }
  | {
      readonly kind: "copy";
      readonly block: StagedBlock;
      /** Of the old version. */
      readonly offset: number;
    }
  | { readonly kind: "send"; readonly block: StagedBlock; readonly bytes: Uint8Array };

/** What is copied in one call; where it has to pass through this process, four of them are in memory. */
const COPY_BYTES = 32 * 1024 * 1024;
const SEND_BYTES = 8 * 1024 * 1024;

/**
 * Plans a new version: kept ranges that are whole blocks of the same object stay as they are; other
 * kept ranges are copied by the service; new bytes are sent.
 * @param old.blocks the committed blocks of the old version in order, or none where its blocks cannot
 * be used: another object's
 */
export function planBlocks(
  parts: readonly ReplacePart[],
  old: { readonly blocks: readonly StagedBlock[] },
): readonly ReplaceStep[] {
  const idOf = makeBlockIds();
  const steps: ReplaceStep[] = [];
  const next = (length: number): StagedBlock => ({ id: idOf(steps.length), length });
  for (const part of parts) {
    if ("bytes" in part)
      for (let at = 0; at < part.bytes.byteLength; at += SEND_BYTES) {
        const bytes = part.bytes.subarray(at, at + SEND_BYTES);
        steps.push({ kind: "send", block: next(bytes.byteLength), bytes });
      }
    else
      for (const piece of piecesOf(part.keep, old.blocks))
        if (piece.block !== null) steps.push({ kind: "reuse", block: piece.block });
        else steps.push({ kind: "copy", block: next(piece.length), offset: piece.offset });
  }
  return steps;
}

type Piece = {
  readonly offset: number;
  readonly length: number;
  readonly block: StagedBlock | null;
};

/** Cuts a kept range at the borders of the blocks that it holds as a whole. */
function piecesOf(
  keep: { readonly offset: number; readonly length: number },
  blocks: readonly StagedBlock[],
): readonly Piece[] {
  const end = keep.offset + keep.length;
  const pieces: Piece[] = [];
  let copied = keep.offset;
  const copyUpTo = (limit: number): void => {
    for (; copied < limit; copied += COPY_BYTES) {
      const length = Math.min(COPY_BYTES, limit - copied);
      pieces.push({ offset: copied, length, block: null });
    }
    copied = limit;
  };
  let at = 0;
  for (const block of blocks) {
    const isWhole = at >= keep.offset && at + block.length <= end && block.length > 0;
    if (isWhole && isOurLength(block.id)) {
      copyUpTo(at);
      pieces.push({ offset: at, length: block.length, block });
      copied = at + block.length;
    }
    at += block.length;
  }
  copyUpTo(end);
  return pieces;
}
