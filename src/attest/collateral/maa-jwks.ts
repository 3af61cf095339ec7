import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { fromTimestamp, PpmlError, sha256, toHex, toTimestamp, utf8 } from "../../base/index.ts";
import type { Clock } from "../../base/index.ts";
import { encodeJcs } from "../../format/jcs.ts";
import { parseWith, timestampSchema } from "../../format/schema.ts";
import { parseUniqueJson } from "../token/unique-json.ts";
import { MAX_JWKS_BYTES, parseMaaJwks } from "../verify/maa-jwks.ts";
import type { MaaJwks } from "../verify/maa-jwks.ts";

/** A key that the set lacks makes it fetched again, but not more often than this. */
const MIN_REFETCH_MS = 5 * 60_000;

const cacheSchema = z.strictObject({
  v: z.literal(1),
  issuer: z.string().max(300),
  fetchedAt: timestampSchema,
  /** The answer's bytes as they came. */
  jwks: z.string().max(MAX_JWKS_BYTES),
});

/** The part of `fetch` that is used: TLS and its roots are the caller's. */
export type FetchUrl = (url: string, init: RequestInit) => Promise<Response>;

/** Where providers' keys come from, and how long they are kept. */
export type MaaJwksOptions = {
  /** The pinned providers: nothing else is ever asked. */
  readonly issuers: readonly string[];
  /** A folder of the caller's own for the cache; made with mode 0700. */
  readonly directory: string;
  readonly maxAgeMs: number;
  readonly timeoutMs: number;
  readonly fetch: FetchUrl;
  readonly clock: Clock;
};

/** Gives providers' signing keys, from the cache or the network. */
export type MaaJwksSource = {
  /**
   * The keys of a pinned issuer. `keyId` is the one that a token names, or null: where the cached
   * set lacks it, the set is fetched again, at most every five minutes.
   * @throws attest.not_verified for an issuer that is not pinned; attest.collateral
   */
  readonly load: (issuer: string, keyId: string | null) => Promise<MaaJwks>;
};

type Cached = { readonly fetchedAtMs: number; readonly jwks: MaaJwks };

/** Makes the source: `ISSUER/certs` over HTTPS, no redirects, at most 1 MiB. */
export function createMaaJwksSource(options: MaaJwksOptions): MaaJwksSource {
  const running = new Map<string, Promise<MaaJwks>>();
  const load = async (issuer: string, keyId: string | null): Promise<MaaJwks> => {
    const cached = await readCache(options, issuer);
    if (cached !== null && isFresh(cached, keyId, options)) return cached.jwks;
    const bytes = await fetchCerts(options, issuer);
    const jwks = parseMaaJwks(bytes);
    await writeCache(options, issuer, bytes);
    return jwks;
  };
  return {
    load: async (issuer, keyId) => {
      requirePinned(options.issuers, issuer);
      const name = `${issuer} ${keyId ?? ""}`;
      const started = running.get(name) ?? load(issuer, keyId);
      running.set(name, started);
      try {
        return await started;
      } finally {
        running.delete(name);
      }
    },
  };
}

/**
 * Reads a provider's keys from a file of at most 1 MiB: the answer of /certs, kept for use offline.
 * @throws attest.collateral, attest.invalid
 */
export async function loadMaaJwksFile(path: string): Promise<MaaJwks> {
  return parseMaaJwks(await readBounded(path, MAX_JWKS_BYTES));
}

function requirePinned(issuers: readonly string[], issuer: string): void {
  if (!issuers.includes(issuer))
    throw new PpmlError(
      "attest.not_verified",
      `the provider ${issuer.slice(0, 100)} is not pinned: its keys are not fetched`,
    );
  const url = URL.canParse(issuer) ? new URL(issuer) : null;
  if (url?.protocol !== "https:" || url.origin !== issuer)
    throw collateral(`expected a provider as https://HOST, got ${issuer.slice(0, 100)}`);
}

/** Written so that a NaN, and a time of the future, are not fresh. */
function isFresh(cached: Cached, keyId: string | null, options: MaaJwksOptions): boolean {
  const ageMs = options.clock() - cached.fetchedAtMs;
  if (!(ageMs >= 0 && ageMs <= options.maxAgeMs)) return false;
  const known = keyId === null || cached.jwks.keys.some(({ kid }) => kid === keyId);
  return known || ageMs < MIN_REFETCH_MS;
}

async function fetchCerts(options: MaaJwksOptions, issuer: string): Promise<Uint8Array> {
  const url = `${issuer}/certs`;
  try {
    const response = await options.fetch(url, {
      redirect: "error",
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(options.timeoutMs),
    });
    if (response.status !== 200 || response.redirected)
      throw collateral(`expected status 200 of ${url}, got ${response.status}`);
    return await readBody(response, url);
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    throw new PpmlError(
      "attest.collateral",
      `the keys of ${issuer} could not be fetched: check the network, or give them in a file`,
      { cause },
    );
  }
}

async function readBody(response: Response, url: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    if (length > MAX_JWKS_BYTES)
      throw collateral(`expected at most ${MAX_JWKS_BYTES} bytes of ${url}`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

async function readCache(options: MaaJwksOptions, issuer: string): Promise<Cached | null> {
  const path = cachePath(options.directory, issuer);
  let bytes: Uint8Array;
  try {
    bytes = await readBounded(path, 3 * MAX_JWKS_BYTES);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  const cached = parseWith(cacheSchema, parseUniqueJson(bytes, path), {
    what: `the cached keys ${path}`,
    code: "attest.collateral",
  });
  if (cached.issuer !== issuer) throw collateral(`${path} holds the keys of another provider`);
  return {
    fetchedAtMs: fromTimestamp(cached.fetchedAt),
    jwks: parseMaaJwks(utf8(cached.jwks)),
  };
}

async function writeCache(
  options: MaaJwksOptions,
  issuer: string,
  bytes: Uint8Array,
): Promise<void> {
  const path = cachePath(options.directory, issuer);
  const temporary = `${path}.${toHex(randomBytes(8))}`;
  const content = encodeJcs({
    v: 1,
    issuer,
    fetchedAt: toTimestamp(options.clock()),
    jwks: new TextDecoder().decode(bytes),
  });
  try {
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    await writeFile(temporary, content, { flag: "wx", mode: 0o600, flush: true });
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new PpmlError("attest.collateral", `the keys could not be kept in ${path}`, { cause });
  }
}

async function readBounded(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    if (size > maxBytes) throw collateral(`expected at most ${maxBytes} bytes in ${path}`);
    return new Uint8Array(await readFile(file));
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    throw new PpmlError("attest.collateral", `${path} cannot be read`, { cause });
  }
}

function isMissing(error: unknown): boolean {
  const cause = error instanceof PpmlError ? error.cause : null;
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}

function cachePath(directory: string, issuer: string): string {
  return join(directory, `${toHex(sha256(utf8(issuer)))}.json`);
}

function collateral(message: string): PpmlError {
  return new PpmlError("attest.collateral", message);
}
