import type { ByteSource } from "../base/index.ts";

/** What a store tells about an object without reading it. */
export type StoredObject = {
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /** Opaque; changes whenever the object's bytes may have changed. */
  readonly etag: string;
};

/** An open object. Close it, or declare it with `await using`. */
export type StoreSource = ByteSource &
  AsyncDisposable & {
    readonly etag: string;
    /** As `read`, but fills the whole of `target`: for who reads much and keeps nothing. */
    readonly readInto?: (offset: number, target: Uint8Array) => Promise<void>;
    /** Of a local file, open for reading only: a child process may inherit it. */
    readonly descriptor?: number;
    readonly close: () => Promise<void>;
  };

/** Bytes to write. A chunk must not be changed after it was handed over; it may be of any length. */
export type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** When a write is allowed: only where no object has the name, or only over that very version. */
export type PutCondition =
  | { readonly ifNoneMatch?: never; readonly ifMatch?: never }
  | { readonly ifNoneMatch: true; readonly ifMatch?: never }
  | { readonly ifNoneMatch?: never; readonly ifMatch: string };

/** How to put: under which condition, and what to do with chunks that were written. */
export type PutOptions = PutCondition & {
  /**
   * How many bytes at the beginning will be rewritten later, 0 for none: a store of blocks keeps them
   * apart, so that `replace` need not move the others.
   */
  readonly headBytes?: number;
  /** Called once at most for a chunk, when the store needs it no longer: its memory may be reused. */
  readonly recycle?: (chunk: Uint8Array) => void;
};

/** A part of a new version: a range of the old one, or new bytes. */
export type ReplacePart =
  | { readonly keep: { readonly offset: number; readonly length: number } }
  | { readonly bytes: Uint8Array };

/**
 * A store: named objects of bytes, each written whole and never changed in place.
 *
 * Names are relative and '/'-separated (`parseStoreName`). A name is an object's or the beginning
 * of other objects' names ("a" and "a/b"), not both. Every method refuses other names with
 * `store.name`.
 *
 * Atomicity: a reader finds the old version or the new one, never a part, whatever happens to the
 * writer; when a write resolves, the object is durable. Two writers of one name never mix: the
 * later one wins unless a condition forbids it. A condition is checked in the same step that makes
 * the new version visible.
 *
 * Two puts at once: a store of blocks gives the slower one `store.conflict`, also without a
 * condition; then put again.
 *
 * Errors: a remote store has those of its service besides (`azure.*`): no login, no right, no network.
 *
 * Retry: `head`, `source`, `list` and an unconditional `delete` may be repeated freely. A write that
 * failed with `store.io` may or may not have happened: repeat it without a condition, or read the
 * etag first. Adapters of remote stores repeat idempotent calls themselves, bounded; a caller never
 * needs to.
 *
 * Nothing that a store returns is authentic: storage is not trusted.
 */
export type Store = {
  /** The URI that `openStore` was given, in normal form. */
  readonly uri: string;
  /** How many puts at once are faster than one after the other; 1 or more. */
  readonly putsAtOnce: number;

  /**
   * Writes a whole object from its chunks, which are pulled while earlier ones are written. If the
   * chunks throw, the error is passed on and no object appears or changes. What is kept on the way
   * holds only what was put, and is not listed.
   * @throws store.exists (ifNoneMatch), store.conflict (ifMatch), store.name, store.io
   */
  readonly put: (
    name: string,
    chunks: Chunks,
    options?: PutOptions,
  ) => Promise<{ readonly etag: string; readonly size: number }>;

  /**
   * Tells early that nothing can be put, without writing; only stores that know it cheaply have it.
   * It promises nothing: what counts is the put.
   * @throws store.io, store.name
   */
  readonly checkPut?: () => Promise<void>;

  /**
   * Tells an object's size and etag; null where there is none.
   * @throws store.name, store.io
   */
  readonly head: (name: string) => Promise<StoredObject | null>;

  /**
   * Opens an object for random access. All reads give bytes of the version that was opened: where
   * the store cannot hold it, a read after a change fails with store.conflict.
   * @throws store.not_found, store.name, store.io; reads: base.out_of_bounds, store.conflict, store.io
   */
  readonly source: (name: string) => Promise<StoreSource>;

  /**
   * Lists the objects whose names begin with `prefix` (any text, "" for all), in the order of their
   * names' UTF-8 bytes. What is written or deleted meanwhile may be there or not.
   * @throws store.io
   */
  readonly list: (prefix: string) => AsyncIterable<StoredObject>;

  /**
   * Deletes an object. Without a condition it is no error where there is none.
   * @throws store.conflict (ifMatch), store.name, store.io
   */
  readonly delete: (name: string, condition?: { readonly ifMatch: string }) => Promise<void>;

  /**
   * Writes a new version made of parts of the old one and new bytes, in the order given, without
   * moving the kept bytes through this process where the store can do so. With `as`, it becomes an
   * object of that other name, over whatever has it, and the old one stays as it is.
   * @throws store.conflict where the object is not, or no longer, that of `ifMatch`;
   * base.out_of_bounds for a range that is not in it; store.name, store.io
   */
  readonly replace: (
    name: string,
    edit: {
      readonly ifMatch: string;
      readonly parts: readonly ReplacePart[];
      readonly as?: string;
    },
  ) => Promise<{ readonly etag: string; readonly size: number }>;
};
