import {
  fromTimestamp,
  fromUtf8,
  PpmlError,
  readBoundedFile,
  toTimestamp,
  utf8,
} from "../../base/index.ts";
import { MAX_JWKS_BYTES, parseMaaJwks } from "../verify/maa-jwks.ts";
import type { MaaJwks } from "../verify/maa-jwks.ts";
import { fetchPart, takePart } from "./fetch-part.ts";
import type { CollateralPart, FetchOptions } from "./fetch-part.ts";

/** A key that the set lacks makes it fetched again, but not more often than this. */
const MIN_REFETCH_MS = 5 * 60_000;

/** Where providers' keys come from, and how long they are kept. */
export type MaaJwksOptions = FetchOptions & {
  /** The pinned providers: nothing else is ever asked. */
  readonly issuers: readonly string[];
};

/** Gives providers' signing keys, from the cache or the network. */
export type MaaJwksSource = {
  /**
   * The keys of a pinned issuer. `keyId` is the one that a token names, or null: where the cached
   * set lacks it, the set is fetched again, at most every five minutes.
   * Rejects with attest.not_verified for an issuer that is not pinned, attest.collateral where one
   * was pinned that is no https origin, attest.fetch.
   */
  readonly load: (issuer: string, keyId: string | null) => Promise<MaaJwks>;
};

/** Makes the source: `ISSUER/certs` over HTTPS, at most 1 MiB, through the cache of all collateral. */
export function createMaaJwksSource(options: MaaJwksOptions): MaaJwksSource {
  const { cache, ports } = options;
  // Nothing is read from this one, so that the answer is new; it is kept all the same.
  const anew = cache === null ? null : { get: () => Promise.resolve(null), put: cache.put };
  const load = sharing((issuer) => fetchKept(issuer, options));
  const loadAnew = sharing((issuer) => fetchKept(issuer, { ...options, cache: anew }));
  return {
    load: async (issuer, keyId) => {
      requirePinned(options.issuers, issuer);
      const kept = await load(issuer);
      if (isEnough(kept, keyId, ports.now())) return kept.jwks;
      return (await loadAnew(issuer)).jwks;
    },
  };
}

/** Calls for one issuer at one time share one answer, whatever keys they are after. */
function sharing(work: (issuer: string) => Promise<Kept>): (issuer: string) => Promise<Kept> {
  const running = new Map<string, Promise<Kept>>();
  return async (issuer) => {
    const started = running.get(issuer) ?? work(issuer);
    running.set(issuer, started);
    try {
      return await started;
    } finally {
      running.delete(issuer);
    }
  };
}

/**
 * Reads a provider's keys from a file of at most 1 MiB: the answer of /certs, kept for use offline.
 * Rejects with attest.collateral, attest.invalid.
 */
export async function loadMaaJwksFile(path: string): Promise<MaaJwks> {
  const what = `the provider's keys ${path}`;
  return parseMaaJwks(
    await readBoundedFile(path, { what, maxBytes: MAX_JWKS_BYTES, code: "attest.collateral" }),
  );
}

function requirePinned(issuers: readonly string[], issuer: string): void {
  if (!issuers.includes(issuer))
    throw new PpmlError(
      "attest.not_verified",
      `the provider ${issuer.slice(0, 100)} is not pinned: its keys are not fetched`,
    );
  const url = URL.canParse(issuer) ? new URL(issuer) : null;
  if (url?.protocol !== "https:" || url.origin !== issuer)
    throw new PpmlError(
      "attest.collateral",
      `expected a provider as https://HOST, got ${issuer.slice(0, 100)}`,
    );
}

/** Written so that a time of the future, and one that is no time, are not enough. */
function isEnough(kept: Kept, keyId: string | null, nowMs: number): boolean {
  const ageMs = nowMs - kept.fetchedAtMs;
  if (!(ageMs >= 0)) return false;
  const isKnown = keyId === null || kept.jwks.keys.some(({ kid }) => kid === keyId);
  return isKnown || ageMs < MIN_REFETCH_MS;
}

/** The set says nothing of how long it is good: `maxAgeMs` alone bounds that. */
function certsOf(issuer: string, { ports, maxAgeMs }: MaaJwksOptions): CollateralPart {
  return {
    url: `${issuer}/certs`,
    what: `the keys of ${issuer}`,
    maxBytes: MAX_JWKS_BYTES,
    read: ({ body }) => {
      parseMaaJwks(body);
      const nowMs = ports.now();
      const parts = { jwks: body, fetchedAt: utf8(toTimestamp(nowMs)) };
      return { parts, expiresMs: nowMs + maxAgeMs };
    },
  };
}

type Kept = { readonly fetchedAtMs: number; readonly jwks: MaaJwks };

async function fetchKept(issuer: string, options: MaaJwksOptions): Promise<Kept> {
  const parts = await fetchPart(certsOf(issuer, options), options);
  return {
    fetchedAtMs: fromTimestamp(fromUtf8(takePart(parts, "fetchedAt"))),
    jwks: parseMaaJwks(takePart(parts, "jwks")),
  };
}
