import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { isPpmlError } from "../../../src/base/index.ts";
import { openCollateralCache } from "../../../src/attest/collateral/cache.ts";
import type { HttpFetch } from "../../../src/attest/collateral/http.ts";
import { createMaaJwksSource, loadMaaJwksFile } from "../../../src/attest/collateral/maa-jwks.ts";
import type { MaaJwksOptions } from "../../../src/attest/collateral/maa-jwks.ts";
import { ISSUER, jwkOf, KEY_ID, NOW_MS, otherKey, providerKey } from "../maa-fixture.ts";

const OTHER = "https://fabrikam.weu.attest.azure.net";
const HOUR_MS = 3_600_000;
const answer = JSON.stringify({ keys: [jwkOf(providerKey.publicKey)] });

let directory = "";
let nowMs = NOW_MS;
let asked: { url: string; init: RequestInit }[] = [];
let respond: () => Response | Promise<Response> = () => new Response(answer);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ppml-jwks-"));
  nowMs = NOW_MS;
  asked = [];
  respond = () => new Response(answer);
});
afterEach(() => rmSync(directory, { recursive: true }));

const fetchUrl: HttpFetch = async (url, init) => {
  asked.push({ url, init });
  return respond();
};

const silent: HttpFetch = (_url, init) =>
  new Promise((_resolve, reject) => {
    init.signal?.addEventListener("abort", () => reject(new Error("aborted")));
  });

const clock = (): number => nowMs;

const ports = { fetch: fetchUrl, now: clock, random: () => 0, pause: async () => undefined };

const cacheIn = (folder: string) => openCollateralCache({ directory: folder, now: clock });

const source = (changes: Partial<MaaJwksOptions> = {}) =>
  createMaaJwksSource({
    issuers: [ISSUER],
    ports,
    cache: cacheIn(join(directory, "cache")),
    maxAgeMs: HOUR_MS,
    limits: { timeoutMs: 1000, attempts: 2, maxPauseMs: 1000 },
    ...changes,
  });

const fails = (message: RegExp): Promise<void> =>
  assert.rejects(source().load(ISSUER, KEY_ID), {
    name: "PpmlError",
    code: "attest.fetch",
    message,
  });

const cacheFile = (): string => {
  const [name = ""] = readdirSync(join(directory, "cache"));
  return join(directory, "cache", name);
};

test("the keys of a pinned provider come from its /certs, once", async () => {
  const keys = source();
  for (let i = 0; i < 3; i += 1)
    assert.deepEqual((await keys.load(ISSUER, KEY_ID)).keys[0]?.kid, KEY_ID);
  assert.equal(
    (await source().load(ISSUER, null)).keys.length,
    1,
    "another process reads the cache",
  );
  assert.deepEqual(
    asked.map(({ url }) => url),
    [`${ISSUER}/certs`],
  );
  assert.equal(asked[0]?.init.redirect, "manual");
  assert.ok(asked[0]?.init.signal instanceof AbortSignal);
  assert.equal(statSync(cacheFile()).mode & 0o777, 0o600);
  assert.equal(statSync(join(directory, "cache")).mode & 0o777, 0o700);
});

test("T81: a provider that is not pinned is not asked, whatever a token says", async () => {
  for (const issuer of [OTHER, `${ISSUER}/`, `${ISSUER}/certs?`, "http://127.0.0.1", ""])
    await assert.rejects(source().load(issuer, null), {
      code: "attest.not_verified",
      message: /is not pinned/,
    });
  for (const issuer of ["http://contoso.weu.attest.azure.net", `${ISSUER}/x`, "https://a@b", "x"])
    await assert.rejects(source({ issuers: [issuer] }).load(issuer, null), {
      code: "attest.collateral",
      message: /expected a provider as https/,
    });
  assert.equal(asked.length, 0);
});

test("cached keys are used for their time and no longer, and never from the future", async () => {
  const keys = source();
  await keys.load(ISSUER, null);
  nowMs = NOW_MS + HOUR_MS - 1000;
  await keys.load(ISSUER, null);
  assert.equal(asked.length, 1);
  nowMs += 1000;
  await keys.load(ISSUER, null);
  assert.equal(asked.length, 2);
  nowMs = NOW_MS;
  await keys.load(ISSUER, null);
  assert.equal(asked.length, 3);
});

test("a key that the cached set lacks makes it fetched again, at most every five minutes", async () => {
  const keys = source();
  await keys.load(ISSUER, KEY_ID);
  for (let i = 0; i < 5; i += 1) await keys.load(ISSUER, "new");
  assert.equal(asked.length, 1);
  nowMs += 5 * 60_000;
  respond = () =>
    new Response(JSON.stringify({ keys: [jwkOf(otherKey.publicKey, { kid: "new" })] }));
  assert.equal((await keys.load(ISSUER, "new")).keys[0]?.kid, "new");
  assert.equal(asked.length, 2);
  await keys.load(ISSUER, KEY_ID);
  assert.equal(asked.length, 2, "not again for a key that is gone");
});

test("calls at one time share one fetch", async () => {
  const keys = source();
  await Promise.all(Array.from({ length: 8 }, () => keys.load(ISSUER, null)));
  assert.equal(asked.length, 1);
});

test("an answer of another status, host or form, or too large, is refused and not kept", async () => {
  respond = () => new Response(answer, { status: 404 });
  await fails(/the keys of https:\/\/contoso.*it answered 404/);
  respond = () => Response.redirect("https://evil.example/certs", 302);
  await fails(/redirects to another host, https:\/\/evil\.example/);
  respond = () => new Response(new Uint8Array(1024 * 1024 + 1));
  await fails(/over 1048576 bytes/);
  respond = () => new Response("<html>sign in</html>");
  await fails(/is not valid JSON/);
  respond = () => new Response(null);
  await fails(/is not valid JSON/);
  respond = () => new Response(answer);
  assert.equal((await source().load(ISSUER, null)).keys.length, 1);
  assert.equal(asked.length, 6);
});

test("an answer without end is cut off at the bound", async () => {
  let sent = 0;
  respond = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull: (controller) => {
          sent += 65_536;
          controller.enqueue(new Uint8Array(65_536));
        },
      }),
    );
  await fails(/over 1048576 bytes/);
  assert.ok(sent < 2 * 1024 * 1024);
});

test("a network that fails, or does not answer in time, is told with its cause", async () => {
  respond = () => {
    throw new TypeError("fetch failed");
  };
  await fails(/no answer: the connection failed/);
  assert.equal(asked.length, 2, "asked again once");
  // AbortSignal.timeout does not keep the process alive by itself; a real fetch's socket does.
  const timer = setInterval(() => undefined, 10);
  try {
    const limits = { timeoutMs: 20, attempts: 1, maxPauseMs: 0 };
    const slow = source({ ports: { ...ports, fetch: silent }, limits });
    await assert.rejects(slow.load(ISSUER, null), (error) => {
      assert.ok(isPpmlError(error, "attest.fetch"));
      assert.match(error.message, /within 20 ms/);
      return true;
    });
  } finally {
    clearInterval(timer);
  }
});

test("an entry that was changed, or is another provider's, is not taken: the keys are fetched anew", async () => {
  await source().load(ISSUER, null);
  const path = cacheFile();
  const good = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  const foreign = { ...good, key: `${OTHER}/certs` };
  for (const content of ["{", JSON.stringify({ ...good, v: 2 }), JSON.stringify(foreign)]) {
    writeFileSync(path, content);
    assert.equal((await source().load(ISSUER, null)).keys[0]?.kid, KEY_ID);
  }
  assert.equal(asked.length, 4);
});

test("a folder that cannot be made is told", async () => {
  writeFileSync(join(directory, "file"), "");
  const path = join(directory, "file", "cache");
  await assert.rejects(source({ cache: cacheIn(path) }).load(ISSUER, null), {
    code: "attest.fetch",
    message: /cannot be read|cannot be written/,
  });
});

test("without a cache the keys are fetched each time", async () => {
  const keys = source({ cache: null });
  for (let i = 0; i < 3; i += 1) await keys.load(ISSUER, KEY_ID);
  assert.equal(asked.length, 3);
});

test("offline, keys are read from a file, within the same bounds", async () => {
  const path = join(directory, "certs.json");
  writeFileSync(path, answer);
  assert.equal((await loadMaaJwksFile(path)).keys[0]?.kid, KEY_ID);
  writeFileSync(path, " ".repeat(1024 * 1024 + 1));
  await assert.rejects(loadMaaJwksFile(path), { code: "attest.collateral" });
  await assert.rejects(loadMaaJwksFile(join(directory, "none")), {
    code: "attest.collateral",
    message: /cannot be read/,
  });
  assert.equal(asked.length, 0);
});
