import type { PipelinePolicy } from "@azure/core-rest-pipeline";

/** Calls at once to one vault: far from its limits, and enough to hide the distance. */
const AT_ONCE = 8;

/**
 * Runs `work` on all items, at most eight at once, and gives the results in the items' order. Where
 * one fails the others that were begun are waited for, no more are begun, and the first failure is thrown.
 */
export async function inBounds<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const entries = items.entries();
  const results: R[] = [];
  const failures: unknown[] = [];
  const run = async (): Promise<void> => {
    for (const [index, item] of entries) {
      try {
        results[index] = await work(item);
      } catch (error) {
        failures.push(error);
      }
      if (failures.length > 0) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, run));
  if (failures.length > 0) throw failures[0];
  return results;
}

/**
 * Spreads what a throttling answer asks to wait: the SDK waits exactly as long as it is told, so that
 * all that were refused at once would come back at once. A quarter more at most.
 */
export function jitterPolicy(random: () => number): PipelinePolicy {
  return {
    name: "ppmlJitter",
    sendRequest: async (request, next) => {
      const response = await next(request);
      const seconds = Number(response.headers.get("retry-after"));
      if ((response.status === 429 || response.status === 503) && seconds > 0) {
        const waitMs = Math.ceil(seconds * 1000 * (1 + random() / 4));
        response.headers.set("retry-after-ms", String(waitMs));
      }
      return response;
    },
  };
}
