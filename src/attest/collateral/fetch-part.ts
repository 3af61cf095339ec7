import { fromUtf8, PpmlError } from "../../base/index.ts";
import { fetchThrough } from "./cache.ts";
import type { CollateralCache, FetchedCollateral } from "./cache.ts";
import { HTTP_LIMITS, requestBytes } from "./http.ts";
import type { HttpAnswer, HttpLimits, HttpPorts } from "./http.ts";

/** How services are reached, and for how long answers are kept at most. */
export type FetchOptions = {
  readonly ports: HttpPorts;
  readonly cache: CollateralCache | null;
  /** Longest age in milliseconds of what is kept and may change, also where it says it is good for longer. */
  readonly maxAgeMs: number;
  readonly limits?: HttpLimits;
};

/** With it a vendor's newer statements are seen within a day. */
export const COLLATERAL_MAX_AGE_MS = 86_400_000;

/** One thing to ask a service for; its URL is its name in the cache. */
export type CollateralPart = {
  readonly url: string;
  /** Names it in errors: "the PCK CRL". */
  readonly what: string;
  readonly maxBytes: number;
  /** Longest age of what its vendor never changes, in place of the options'. */
  readonly maxAgeMs?: number;
  /** Takes the answer apart, or throws where it is something else (attest.invalid, .unsupported). */
  readonly read: (answer: HttpAnswer) => FetchedCollateral;
};

/**
 * Gives a part from the cache or from its service. What does not parse as itself, or is out of date
 * already, is the service's fault and is not kept.
 * Rejects with attest.fetch.
 */
export function fetchPart(
  part: CollateralPart,
  options: FetchOptions,
): Promise<FetchedCollateral["parts"]> {
  const { url, what, maxBytes } = part;
  const { ports, cache, limits = HTTP_LIMITS } = options;
  const { maxAgeMs = options.maxAgeMs } = part;
  const asked = { key: url, latestMs: ports.now() + maxAgeMs };
  return fetchThrough(cache, asked, async () => {
    const answer = await requestBytes(ports, { url, what, maxBytes }, limits);
    const { parts, expiresMs } = readAnswer(part, answer);
    const nowMs = ports.now();
    // Written so that a NaN is refused.
    if (!(expiresMs > nowMs))
      throw new PpmlError(
        "attest.fetch",
        `${new URL(url).host} gave ${what}, but out of date: is this machine's clock right?`,
        { detail: { expiresMs } },
      );
    return { parts, expiresMs: Math.min(expiresMs, nowMs + maxAgeMs) };
  });
}

/** One of a part's named bytes. @throws attest.fetch */
export function takePart(parts: FetchedCollateral["parts"], name: string): Uint8Array {
  const bytes = parts[name];
  if (bytes === undefined)
    throw new PpmlError("attest.fetch", `the cached collateral lacks its part ${name}`);
  return bytes;
}

/** An answer's text in UTF-8. @throws attest.invalid */
export function textOf(body: Uint8Array): string {
  try {
    return fromUtf8(body);
  } catch (cause) {
    throw new PpmlError("attest.invalid", "it is not text", { cause });
  }
}

function readAnswer(part: CollateralPart, answer: HttpAnswer): FetchedCollateral {
  try {
    return part.read(answer);
  } catch (cause) {
    if (!(cause instanceof PpmlError)) throw cause;
    throw new PpmlError(
      "attest.fetch",
      `${new URL(part.url).host} gave something else than ${part.what}: ${cause.message}`,
      { cause },
    );
  }
}
