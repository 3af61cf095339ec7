/** Bytes of known length with random access: a stored object, a local file or a buffer. */
export type ByteSource = {
  /** Total length in bytes. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes at `offset`; the result may be a view that stays valid.
   * Rejects where the range is not wholly inside the source.
   */
  readonly read: (offset: number, length: number) => Promise<Uint8Array>;
};
