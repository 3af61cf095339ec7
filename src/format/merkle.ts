import { concatBytes, equalBytes, PpmlError, sha256 } from "../base/index.ts";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Hash of a leaf's bytes. @see RFC 6962 section 2.1 */
export function leafHash(leaf: Uint8Array): Uint8Array {
  return sha256(LEAF, leaf);
}

/** Merkle tree hash over leaves in order; of none it is the SHA-256 of nothing. @see RFC 6962 2.1 */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  return merkleRootOfHashes(leaves.map((leaf) => leafHash(leaf)));
}

/** As `merkleRoot`, from the leaves' hashes. */
export function merkleRootOfHashes(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return sha256();
  return subtree(hashes, 0, hashes.length);
}

/**
 * Audit path of leaf `index` in the tree of `hashes`, lowest first.
 * @throws receipt.log where there is no such leaf
 * @see RFC 6962 section 2.1.1
 */
export function inclusionProof(hashes: readonly Uint8Array[], index: number): Uint8Array[] {
  if (!Number.isSafeInteger(index) || index < 0 || index >= hashes.length)
    throw new PpmlError("receipt.log", `the log has ${hashes.length} entries, none at ${index}`);
  return path(hashes, { index, from: 0, to: hashes.length });
}

/**
 * Verifies an audit path.
 * @throws receipt.log where the leaf is not in the tree with that root
 * @see RFC 9162 section 2.1.3.2
 */
export function verifyInclusion(options: {
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}): void {
  const { index, size, proof, root } = options;
  let ok = Number.isSafeInteger(size) && Number.isSafeInteger(index) && index >= 0 && index < size;
  let fn = index;
  let sn = size - 1;
  let hash = leafHash(options.leaf);
  for (const sibling of proof) {
    if (sn === 0) ok = false;
    if (fn % 2 === 1 || fn === sn) {
      hash = sha256(NODE, sibling, hash);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else hash = sha256(NODE, hash, sibling);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  if (!ok || sn !== 0 || !equalBytes(hash, root))
    throw new PpmlError("receipt.log", "the inclusion proof does not lead to the log's root");
}

function subtree(hashes: readonly Uint8Array[], from: number, to: number): Uint8Array {
  if (to - from === 1) {
    const hash = hashes[from];
    if (hash === undefined) throw new PpmlError("base.internal", "Merkle tree index out of range");
    return hash;
  }
  const middle = from + split(to - from);
  return sha256(concatBytes(NODE, subtree(hashes, from, middle), subtree(hashes, middle, to)));
}

function path(
  hashes: readonly Uint8Array[],
  at: { readonly index: number; readonly from: number; readonly to: number },
): Uint8Array[] {
  const { index, from, to } = at;
  if (to - from === 1) return [];
  const middle = from + split(to - from);
  return index < middle
    ? [...path(hashes, { index, from, to: middle }), subtree(hashes, middle, to)]
    : [...path(hashes, { index, from: middle, to }), subtree(hashes, from, middle)];
}

/** The largest power of two below `size`. */
function split(size: number): number {
  let k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}
