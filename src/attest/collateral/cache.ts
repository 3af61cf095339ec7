import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import type { Stats } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import {
  equalBytes,
  fromBase64,
  fromUtf8,
  PpmlError,
  sha256,
  toBase64,
  toHex,
  utf8,
} from "../../base/index.ts";
import type { Clock } from "../../base/index.ts";
import { encodeJcs } from "../../format/jcs.ts";

/** Collateral as it was fetched: named bytes, and until when they may be used. */
export type FetchedCollateral = {
  readonly parts: Readonly<Record<string, Uint8Array>>;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
};

/**
 * Collateral that was fetched before, by what was asked for. The vendors' is not trusted, a provider's
 * keys (`createMaaJwksSource`) are: nobody else may have written it.
 */
export type CollateralCache = {
  /** Null where there is none, or it expired, is damaged, or may be another's. Rejects with attest.fetch. */
  readonly get: (key: string) => Promise<FetchedCollateral | null>;
  /** Replaces an entry as a whole. Rejects with attest.fetch. */
  readonly put: (key: string, fetched: FetchedCollateral) => Promise<void>;
};

/** A file that is written has its name without a dot long before. */
const LEFT_OVER_MS = 3_600_000;
const MAX_ENTRY_BYTES = 16 * 1024 * 1024;

const entrySchema = z.strictObject({
  v: z.literal(1),
  key: z.string().max(2000),
  expiresMs: z.int().min(0),
  parts: z.record(z.string().max(100), z.string()),
  /** Of the key, the expiry and the parts: a damaged file is not taken for an entry. */
  digest: z.string(),
});

/**
 * Opens a cache in a folder, which is made with mode 0700 where it is missing: a file an entry,
 * named by the digest of its key. Entries are written beside and renamed, so that whoever reads
 * while another process writes gets the old or the new one. Expired ones are never given, and no
 * file that another user owns or may write, or that is a link or none.
 */
export function openCollateralCache(options: {
  readonly directory: string;
  readonly now: Clock;
}): CollateralCache {
  const { directory, now } = options;
  const pathOf = (key: string): string => join(directory, `${toHex(sha256(utf8(key)))}.json`);
  return {
    get: async (key) => {
      const bytes = await readFile(pathOf(key));
      const entry = bytes === null ? null : parseEntry(bytes, key);
      // Written so that an entry without a valid time counts as expired.
      return entry !== null && now() < entry.expiresMs ? entry : null;
    },
    put: async (key, fetched) => {
      const temporary = join(directory, `.${toHex(randomBytes(12))}`);
      try {
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await writeSynced(temporary, encodeEntry(key, fetched));
        const { mtimeMs } = await stat(temporary);
        await rename(temporary, pathOf(key));
        // By the clock of the file's own system: another's may be apart, and remove what is being written.
        await removeLeftOver(directory, mtimeMs - LEFT_OVER_MS);
      } catch (cause) {
        // What failed first is what the caller has to know.
        await rm(temporary, { force: true }).catch(() => undefined);
        throw failed(directory, "written", cause);
      }
    },
  };
}

type Parts = FetchedCollateral["parts"];

/** What is being read or fetched for a cache, by its keys. */
const running = new WeakMap<CollateralCache, Map<string, Promise<Parts>>>();

/**
 * Gives what the cache has under `key`, or what `fetch` brings, which is then kept. Calls for one key
 * at one time share one answer. An entry that ends after `latestMs` is not given: it was kept by a clock
 * that was ahead, or for a longer age than is wanted now. Without a cache it always fetches.
 * Rejects with attest.fetch.
 */
export async function fetchThrough(
  cache: CollateralCache | null,
  asked: { readonly key: string; readonly latestMs: number },
  fetch: () => Promise<FetchedCollateral>,
): Promise<Parts> {
  if (cache === null) return (await fetch()).parts;
  const ofCache = running.get(cache) ?? new Map<string, Promise<Parts>>();
  running.set(cache, ofCache);
  const started = ofCache.get(asked.key);
  if (started !== undefined) return started;
  const work = keptOrFetched(cache, asked, fetch).finally(() => ofCache.delete(asked.key));
  ofCache.set(asked.key, work);
  return work;
}

async function keptOrFetched(
  cache: CollateralCache,
  { key, latestMs }: { readonly key: string; readonly latestMs: number },
  fetch: () => Promise<FetchedCollateral>,
): Promise<Parts> {
  const kept = await cache.get(key);
  if (kept !== null && kept.expiresMs <= latestMs) return kept.parts;
  const fetched = await fetch();
  await cache.put(key, fetched);
  return fetched.parts;
}

/** Opened so that a pipe does not hold the call, and a link is not followed. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/** What opening gives where no file of ours lies: none, a link, a socket, or another's closed to us. */
const AS_GOOD_AS_NONE: ReadonlySet<unknown> = new Set(["ENOENT", "ELOOP", "ENXIO", "EACCES"]);

async function readFile(path: string): Promise<Uint8Array | null> {
  try {
    await using file = await open(path, READ_FLAGS);
    return await readOwn(file);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && AS_GOOD_AS_NONE.has(cause.code)) return null;
    throw failed(path, "read", cause);
  }
}

async function readOwn(file: FileHandle): Promise<Uint8Array | null> {
  const stats = await file.stat();
  if (!isOwnFile(stats) || stats.size > MAX_ENTRY_BYTES) return null;
  const bytes = new Uint8Array(stats.size);
  const { bytesRead } = await file.read(bytes, 0, stats.size, 0);
  return bytes.subarray(0, bytesRead);
}

/** A file that this user alone can have written, with one name, or none where it was just replaced. */
function isOwnFile(stats: Stats): boolean {
  const isOurs = stats.uid === process.geteuid?.() && (stats.mode & 0o022) === 0;
  return stats.isFile() && stats.nlink <= 1 && isOurs;
}

/** Removes what processes that were killed while they wrote left before `endMs`. */
async function removeLeftOver(directory: string, endMs: number): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!/^\.[0-9a-f]{24}$/.test(name)) continue;
    const path = join(directory, name);
    // Another process may be removing it as well, and what is no file of ours stays.
    const stats = await stat(path).catch(() => null);
    if (stats !== null && stats.mtimeMs < endMs)
      await rm(path, { force: true }).catch(() => undefined);
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(bytes);
  await file.sync();
}

function encodeEntry(key: string, { parts, expiresMs }: FetchedCollateral): Uint8Array {
  const texts = Object.fromEntries(
    Object.entries(parts).map(([name, bytes]) => [name, toBase64(bytes)]),
  );
  const entry = { v: 1, key, expiresMs, parts: texts };
  return utf8(JSON.stringify({ ...entry, digest: digestOf(entry) }));
}

/** Null where the file is not an entry of this key: cut, changed, or another version's. */
function parseEntry(bytes: Uint8Array, key: string): FetchedCollateral | null {
  try {
    const { digest, ...entry } = entrySchema.parse(JSON.parse(fromUtf8(bytes)));
    if (entry.key !== key || !equalBytes(utf8(digest), utf8(digestOf(entry)))) return null;
    const parts = Object.entries(entry.parts).map(
      ([name, text]) => [name, fromBase64(text)] as const,
    );
    return { expiresMs: entry.expiresMs, parts: Object.fromEntries(parts) };
  } catch {
    // A damaged entry is as good as none: it is fetched again and replaced.
    return null;
  }
}

function digestOf(entry: {
  readonly key: string;
  readonly expiresMs: number;
  readonly parts: Readonly<Record<string, string>>;
}): string {
  return toHex(sha256(encodeJcs([entry.key, entry.expiresMs, entry.parts])));
}

function failed(path: string, verb: "read" | "written", cause: unknown): PpmlError {
  return new PpmlError(
    "attest.fetch",
    `the cache of collateral in ${path} cannot be ${verb}: give another folder, or make it writable`,
    { cause },
  );
}
