import { inspect } from "node:util";

/**
 * Owns secret bytes. They are read only inside `expose`, never printed, and zeroed on dispose.
 * Zeroing is best effort: the runtime may have moved or copied the bytes (docs/limits.md).
 */
export class Secret implements Disposable {
  #bytes: Uint8Array | null;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Takes `bytes` over: the caller must not keep or change them. */
  static take(bytes: Uint8Array): Secret {
    return new Secret(bytes);
  }

  /** Copies `bytes`, so that the caller may zero or keep its own. */
  static copy(bytes: Uint8Array): Secret {
    return new Secret(Uint8Array.from(bytes));
  }

  /** Length in bytes. */
  get byteLength(): number {
    return this.#open().byteLength;
  }

  /** Calls `use` with the bytes; they must not be kept after it returns. */
  expose<T>(use: (bytes: Uint8Array) => T): T {
    return use(this.#open());
  }

  [Symbol.dispose](): void {
    this.#bytes?.fill(0);
    this.#bytes = null;
  }

  toString(): string {
    return "[Secret]";
  }

  toJSON(): string {
    return "[Secret]";
  }

  [inspect.custom](): string {
    return "[Secret]";
  }

  #open(): Uint8Array {
    if (this.#bytes === null) throw new TypeError("the Secret was disposed");
    return this.#bytes;
  }
}
