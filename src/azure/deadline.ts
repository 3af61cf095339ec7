import { RestError } from "@azure/core-rest-pipeline";
import type { HttpClient, PipelineRequest } from "@azure/core-rest-pipeline";

/** Told of a host that lets a call wait; what it gives is disposed when no call waits any more. */
export type OnWait = (host: string) => Disposable;

/** The code of a call that is not tried again: its deadline passed, twice where it was repeatable. */
export const NO_ANSWER = "NoAnswer";

const SLOW_MS = 3000;
/** Calls of these hosts take less than a second; a try more than this means that none will answer. */
const QUICK = /\.(?:vault|managedhsm)\.azure\.net$|^login\.microsoftonline\.com$/;
const QUICK_MS = 30_000;
const OTHER_MS = 120_000;

/** How long one try of a call to a URL may take, in milliseconds. */
export function deadlineOf(url: string): number {
  return QUICK.test(new URL(url).hostname) ? QUICK_MS : OTHER_MS;
}

/**
 * An HTTP client that does not wait for ever: a try ends at its deadline, and who waits is told after
 * three seconds. A call that may be repeated is tried once more by the SDK's retries, then no more;
 * one that may not (a new key has a new version each time) ends at once. Requests that bring a deadline
 * of their own keep it.
 */
export function withDeadline(
  client: HttpClient,
  options: {
    readonly deadlineMs: (url: string) => number;
    readonly onWait?: OnWait;
    /** After which `onWait` is told: otherwise three seconds. */
    readonly slowMs?: number;
  },
): HttpClient {
  const late = new WeakSet<PipelineRequest>();
  const waiting = waitingOf(options.onWait, options.slowMs ?? SLOW_MS);
  return {
    sendRequest: async (request) => {
      if (request.timeout > 0) return client.sendRequest(request);
      const timeoutMs = options.deadlineMs(request.url);
      request.timeout = timeoutMs;
      const wait = waiting(new URL(request.url).hostname);
      try {
        return await client.sendRequest(request);
      } catch (error) {
        const isAbort = error instanceof Error && error.name === "AbortError";
        if (!isAbort || request.abortSignal?.aborted === true) throw error;
        const isRepeated = isRepeatable(request) && !late.has(request);
        late.add(request);
        throw new RestError(`no answer in ${timeoutMs / 1000} s`, {
          code: isRepeated ? "ETIMEDOUT" : NO_ANSWER,
          request,
        });
      } finally {
        request.timeout = 0;
        wait[Symbol.dispose]();
      }
    },
  };
}

/** What the second try of does nothing more than the first. */
function isRepeatable({ method, url }: PipelineRequest): boolean {
  if (method !== "POST") return true;
  return /\/(?:unwrapkey|wrapkey|release)$|\/oauth2\/v2\.0\/token$/.test(new URL(url).pathname);
}

/** One notice for all calls that wait at a time. */
function waitingOf(onWait: OnWait | undefined, slowMs: number): (host: string) => Disposable {
  let slow = 0;
  let notice: Disposable | null = null;
  return (host) => {
    let isSlow = false;
    const timer = setTimeout(() => {
      isSlow = true;
      slow += 1;
      notice ??= onWait?.(host) ?? null;
    }, slowMs);
    timer.unref();
    return {
      [Symbol.dispose]: () => {
        clearTimeout(timer);
        if (!isSlow) return;
        slow -= 1;
        if (slow > 0) return;
        notice?.[Symbol.dispose]();
        notice = null;
      },
    };
  };
}
