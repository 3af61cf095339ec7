import { setTimeout as delay } from "node:timers/promises";
import { isRestError } from "@azure/core-rest-pipeline";

/** How often an idempotent call is made at most, and how long is waited between. */
export type RetryPolicy = {
  readonly tries: number;
  /** Of the first pause; each next one is twice as long, with jitter. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
};

/** About 30 seconds in all: a network that comes back in that time is not noticed. */
export const RETRIES: RetryPolicy = { tries: 6, firstDelayMs: 500, maxDelayMs: 15_000 };

/** The service says how long to wait; it must not hold us for ever. */
const MAX_RETRY_AFTER_MS = 60_000;
const RETRIED_STATUSES = new Set([408, 429, 500, 502, 503, 504]);
// Not ENOTFOUND: a name that does not exist is mostly a wrong one; a resolver that is away is EAI_AGAIN.
const RETRIED_ERRORS = new Set([
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "EAI_AGAIN",
  "EPIPE",
  "ETIMEDOUT",
  "REQUEST_SEND_ERROR",
]);

/**
 * Makes an idempotent call, again where the service was busy or the network broke. Never for a call
 * whose second time means something else.
 * @throws the last error
 */
export async function withRetries<T>(
  policy: RetryPolicy,
  call: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      if (tries >= policy.tries || !isTransient(error) || signal?.aborted === true) throw error;
      await pause(policy, { tries, error, signal });
    }
  }
}

/** Waits before the next try, as long as the service asked for, or twice as long each time. */
export async function pause(
  policy: RetryPolicy,
  after: {
    readonly tries: number;
    readonly error: unknown;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { tries, error, signal } = after;
  const backoff = Math.min(policy.firstDelayMs * 2 ** (tries - 1), policy.maxDelayMs);
  // Full jitter would often wait for nothing; half of it keeps writers apart as well.
  const jittered = backoff * (0.5 + Math.random() / 2);
  const ms = Math.max(jittered, retryAfterMs(error) ?? 0);
  await delay(ms, undefined, signal === undefined ? {} : { signal });
}

/** Whether a call failed in a way that may be over soon, or whose outcome is not known. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (isRestError(error)) {
    if (error.statusCode !== undefined) return RETRIED_STATUSES.has(error.statusCode);
    if (error.code === "PARSE_ERROR") return false;
    return error.code === undefined || RETRIED_ERRORS.has(error.code);
  }
  if (error.name === "AbortError" || error.name === "TimeoutError") return false;
  return "code" in error && typeof error.code === "string" && RETRIED_ERRORS.has(error.code);
}

function retryAfterMs(error: unknown): number | null {
  if (!isRestError(error)) return null;
  const text = error.response?.headers.get("retry-after");
  if (text === undefined || !/^\d{1,6}$/.test(text)) return null;
  return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
}
