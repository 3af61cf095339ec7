import { PpmlError } from "../base/index.ts";
import type { Store } from "../store/index.ts";
import { makeHandover } from "./worker-services.ts";
import type { Handover } from "./worker-services.ts";

/** Where the sealed results of a job go while it runs. */
export type ResultSink = {
  /** The next bytes of a query's result; results come whole, one after the other. */
  readonly give: (of: { readonly query: number; readonly bytes: Uint8Array }) => Promise<void>;
  /** Ends the last result. @throws compute.worker where one is missing */
  readonly finish: () => Promise<void>;
  /** Takes back what was stored. */
  readonly abandon: (reason: unknown) => Promise<void>;
};

type Putting = { readonly handover: Handover; readonly stored: Promise<unknown> };

/**
 * Stores results under their names as they come. No manifest lists them yet: a reader sees none of
 * them before all are there and published.
 * @param names one a query, in their order
 */
export function makeResultSink(store: Store, names: readonly string[]): ResultSink {
  let at = -1;
  let putting: Putting | null = null;
  const end = async (): Promise<void> => {
    await putting?.handover.end();
    await putting?.stored;
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
      await putting?.handover.give(bytes);
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
      await putting?.handover.fail(reason).catch(() => undefined);
      await putting?.stored.catch(() => undefined);
      for (const name of names.slice(0, at + 1)) await store.delete(name).catch(() => undefined);
    },
  };
}

function begin(store: Store, name: string): Putting {
  const handover = makeHandover();
  const stored = store.put(name, handover.chunks);
  // Its failure is seen where it is awaited; until then it must not end the process.
  stored.catch(() => undefined);
  return { handover, stored };
}
