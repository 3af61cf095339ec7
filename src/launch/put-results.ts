import { PpmlError } from "../base/index.ts";
import type { Store } from "../store/index.ts";

/** Where the sealed results of a job go while it runs. */
export type ResultSink = {
  /** The next bytes of a query's result; results come whole, one after the other. */
  readonly give: (of: { readonly query: number; readonly bytes: Uint8Array }) => Promise<void>;
  /** Ends the last result. @throws compute.worker where one is missing */
  readonly finish: () => Promise<void>;
  /** Takes back what was stored. */
  readonly abandon: (reason: unknown) => Promise<void>;
};

/** An object that is being put: its chunks are given one at a time, each once the store has room. */
type Putting = {
  readonly give: (bytes: Uint8Array) => Promise<void>;
  /** Ends the object; resolves when it is stored. */
  readonly end: () => Promise<void>;
  /** Ends the put without an object. */
  readonly fail: (reason: unknown) => Promise<void>;
};

/**
 * Stores results under their names as they come. No manifest lists them yet: a reader sees none of
 * them before all are there and published.
 * @param names one a query, in their order
 */
export function makeResultSink(store: Store, names: readonly string[]): ResultSink {
  let at = -1;
  let putting: Putting | null = null;
  const end = async (): Promise<void> => {
    await putting?.end();
    putting = null;
  };
  return {
    give: async ({ query, bytes }) => {
      if (query !== at) {
        const name = names[query];
        if (query !== at + 1 || name === undefined)
          throw new PpmlError("compute.worker", `the worker gave a result of query ${query}`);
        await end();
        at = query;
        putting = begin(store, name);
      }
      await putting?.give(bytes);
    },
    finish: async () => {
      await end();
      if (at + 1 !== names.length)
        throw new PpmlError(
          "compute.worker",
          `the worker gave ${at + 1} of ${names.length} results`,
        );
    },
    abandon: async (reason) => {
      await putting?.fail(reason);
      for (const name of names.slice(0, at + 1)) await store.delete(name).catch(() => undefined);
    },
  };
}

function begin(store: Store, name: string): Putting {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const stored = store.put(name, readable);
  // Its failure is seen where it is awaited; until then it must not end the process.
  stored.catch(() => undefined);
  // A store that fails before it asks for bytes never would: without the race they wait for ever.
  const whileStoring = async (step: Promise<unknown>): Promise<void> => {
    try {
      await Promise.race([stored, step]);
    } catch (error) {
      // Where the store gave up, its own reason says more than the stream that it left.
      await stored;
      throw error;
    }
  };
  return {
    give: (bytes) => whileStoring(writer.ready.then(() => writer.write(bytes))),
    end: async () => {
      await whileStoring(writer.close());
      await stored;
    },
    fail: async (reason) => {
      await whileStoring(writer.abort(reason)).catch(() => undefined);
      await stored.catch(() => undefined);
    },
  };
}
