import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { isPpmlError } from "../../../src/base/index.ts";
import { createMaaJwksSource, loadMaaJwksFile } from "../../../src/attest/collateral/maa-jwks.ts";
import type { FetchUrl, MaaJwksOptions } from "../../../src/attest/collateral/maa-jwks.ts";
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

const fetchUrl: FetchUrl = async (url, init) => {
  asked.push({ url, init });
  return respond();
};

const silent: FetchUrl = (_url, init) =>
  new Promise((_resolve, reject) => {
    init.signal?.addEventListener("abort", () => reject(new Error("aborted")));
  });

const source = (changes: Partial<MaaJwksOptions> = {}) =>
  createMaaJwksSource({
    issuers: [ISSUER],
    directory: join(directory, "cache"),
    maxAgeMs: HOUR_MS,
    timeoutMs: 1000,
    fetch: fetchUrl,
    clock: () => nowMs,
    ...changes,
  });

const fails = (message: RegExp, code = "attest.collateral"): Promise<void> =>
  assert.rejects(source().load(ISSUER, KEY_ID), { name: "PpmlError", code, message });

const cacheFile = (): string => {
  const [name = ""] = readdirSync(join(directory, "cache"));
  return join(directory, "cache", name);
};

test("the keys of a pinned provider come from its /certs, without redirects, once", async () => {
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
  assert.equal(asked[0]?.init.redirect, "error");
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
  nowMs = NOW_MS + HOUR_MS;
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

test("an answer of another status, too large, or no JWK Set is refused and not kept", async () => {
  respond = () => new Response(answer, { status: 404 });
  await fails(/expected status 200 of .*, got 404/);
  respond = () => Response.redirect("https://evil.example/certs", 302);
  await fails(/expected status 200 of .*, got 302/);
  respond = () => new Response(new Uint8Array(1024 * 1024 + 1));
  await fails(/expected at most 1048576 bytes/);
  respond = () => new Response("<html>sign in</html>");
  await fails(/is not valid JSON/, "attest.invalid");
  respond = () => new Response(null);
  await fails(/is not valid JSON/, "attest.invalid");
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
  await fails(/expected at most 1048576 bytes/);
  assert.ok(sent < 2 * 1024 * 1024);
});

test("a network that fails, or does not answer in time, is told with its cause", async () => {
  respond = () => {
    throw new TypeError("fetch failed");
  };
  await fails(/could not be fetched: check the network/);
  // AbortSignal.timeout does not keep the process alive by itself; a real fetch's socket does.
  const timer = setInterval(() => undefined, 10);
  try {
    await assert.rejects(source({ fetch: silent, timeoutMs: 20 }).load(ISSUER, null), (error) => {
      assert.ok(isPpmlError(error, "attest.collateral"));
      assert.match(String(error.cause), /aborted/);
      return true;
    });
  } finally {
    clearInterval(timer);
  }
});

test("a cache that was changed into another form, or holds another provider's keys, is refused", async () => {
  await source().load(ISSUER, null);
  const path = cacheFile();
  const good = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  for (const [content, message] of [
    ["{", /is not valid JSON/],
    [JSON.stringify({ ...good, v: 2 }), /is not valid at v/],
    [JSON.stringify({ ...good, more: 1 }), /is not valid/],
    [JSON.stringify({ ...good, issuer: OTHER }), /holds the keys of another provider/],
    [JSON.stringify({ ...good, jwks: "{}" }), /not valid at keys/],
  ] as const) {
    writeFileSync(path, content);
    await assert.rejects(source().load(ISSUER, null), { name: "PpmlError", message });
  }
  assert.equal(asked.length, 1);
});

test("a folder that cannot be made is told", async () => {
  writeFileSync(join(directory, "file"), "");
  const path = join(directory, "file", "cache");
  await assert.rejects(source({ directory: path }).load(ISSUER, null), {
    code: "attest.collateral",
    message: /cannot be read|could not be kept/,
  });
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
