import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AMD_KDS, completeSnpCollateral } from "../../../src/attest/collateral/amd-kds.ts";
import { fetchThrough, openCollateralCache } from "../../../src/attest/collateral/cache.ts";
import { fetchDcapCollateral, INTEL_PCS } from "../../../src/attest/collateral/intel-pcs.ts";
import { parseSnpReport } from "../../../src/attest/evidence/snp-report.ts";
import { fromBase64Url, isPpmlError, sha256, toHex } from "../../../src/base/index.ts";
import { encodeJcs } from "../../../src/format/jcs.ts";
import { NOW_MS, wire } from "../fixture.ts";
import { crlOf, fakeKds, fakePcs, FMSPC, sampleCollateral } from "./fake-services.ts";
import { portsOf } from "./http-ports.ts";

function folder(): { path: string } & Disposable {
  const path = join(mkdtempSync(join(tmpdir(), "ppml-collateral-")), "cache");
  return { path, [Symbol.dispose]: () => rmSync(join(path, ".."), { recursive: true }) };
}

const DAY_MS = 86_400_000;

const REQUEST = {
  service: INTEL_PCS,
  tee: "tdx",
  fmspc: FMSPC,
  ca: "platform",
  update: "standard",
} as const;

const ENTRY = {
  parts: { crl: Uint8Array.of(1, 2, 3), chain: new Uint8Array() },
  expiresMs: NOW_MS + 1000,
};

test("an entry comes back until it expires, and not a millisecond longer", async () => {
  using at = folder();
  let nowMs = NOW_MS;
  const cache = openCollateralCache({ directory: at.path, now: () => nowMs });
  assert.equal(await cache.get("https://a/"), null);
  await cache.put("https://a/", ENTRY);
  assert.deepEqual(await cache.get("https://a/"), ENTRY);
  assert.equal(await cache.get("https://b/"), null);
  nowMs = NOW_MS + 999;
  assert.deepEqual(await cache.get("https://a/"), ENTRY);
  nowMs = NOW_MS + 1000;
  assert.equal(await cache.get("https://a/"), null);
});

test("the folder is for its owner alone, and holds whole entries only", async () => {
  using at = folder();
  const cache = openCollateralCache({ directory: at.path, now: () => NOW_MS });
  await cache.put("https://a/", ENTRY);
  await cache.put("https://a/", ENTRY);
  assert.equal(statSync(at.path).mode & 0o777, 0o700);
  const names = readdirSync(at.path);
  assert.equal(names.length, 1);
  assert.equal(statSync(join(at.path, names[0] ?? "")).mode & 0o777, 0o600);
});

test("T105: an entry that was cut, changed or put under another name is as good as none", async () => {
  using at = folder();
  const cache = openCollateralCache({ directory: at.path, now: () => NOW_MS });
  await cache.put("https://a/", ENTRY);
  const [name = ""] = readdirSync(at.path);
  const path = join(at.path, name);
  const whole = readFileSync(path);
  for (let length = 0; length < whole.byteLength; length += 7) {
    writeFileSync(path, whole.subarray(0, length));
    assert.equal(await cache.get("https://a/"), null);
  }
  for (let offset = 0; offset < whole.byteLength; offset += 1) {
    const changed = Uint8Array.from(whole);
    changed[offset] = (changed[offset] ?? 0) ^ 1;
    writeFileSync(path, changed);
    assert.equal(await cache.get("https://a/"), null, `byte ${offset}`);
  }
  // An expiry that was moved, and an entry of another key.
  writeFileSync(
    path,
    whole.toString().replace(String(ENTRY.expiresMs), String(ENTRY.expiresMs + 1000)),
  );
  assert.equal(await cache.get("https://a/"), null);
  await cache.put("https://b/", ENTRY);
  const other = readdirSync(at.path).find((file) => file !== name) ?? "";
  writeFileSync(path, readFileSync(join(at.path, other)));
  assert.equal(await cache.get("https://a/"), null);
  writeFileSync(path, whole);
  assert.deepEqual(await cache.get("https://a/"), ENTRY);
});

test("T105: an entry that another user could have written is as good as none, and is replaced", async () => {
  using at = folder();
  const cache = openCollateralCache({ directory: at.path, now: () => NOW_MS });
  await cache.put("https://a/", ENTRY);
  const path = join(at.path, readdirSync(at.path)[0] ?? "");
  const elsewhere = join(at.path, "..", "elsewhere");
  // What a folder that others may write too could hold under the entry's name.
  const planted: (() => void)[] = [
    () => chmodSync(path, 0o620),
    () => chmodSync(path, 0o602),
    () => {
      renameSync(path, elsewhere);
      symlinkSync(elsewhere, path);
    },
    () => linkSync(path, elsewhere),
    () => {
      rmSync(path);
      execFileSync("mkfifo", ["-m", "600", path]);
    },
  ];
  if (process.geteuid?.() === 0) planted.push(() => chownSync(path, 1, 1));
  for (const plant of planted) {
    assert.deepEqual(await cache.get("https://a/"), ENTRY);
    plant();
    assert.equal(await cache.get("https://a/"), null, plant.toString());
    await cache.put("https://a/", ENTRY);
    rmSync(elsewhere, { force: true });
  }
  assert.deepEqual(await cache.get("https://a/"), ENTRY);
});

test("an entry whose digest is right and whose parts are not base64 is as good as none", async () => {
  using at = folder();
  const cache = openCollateralCache({ directory: at.path, now: () => NOW_MS });
  await cache.put("https://a/", ENTRY);
  const path = join(at.path, readdirSync(at.path)[0] ?? "");
  for (const text of ["%%", "\ud800"]) {
    const entry = { v: 1, key: "https://a/", expiresMs: ENTRY.expiresMs, parts: { crl: text } };
    const said = text === "%%" ? [entry.key, entry.expiresMs, entry.parts] : [];
    const digest = toHex(sha256(encodeJcs(said)));
    writeFileSync(path, JSON.stringify({ ...entry, digest }));
    assert.equal(await cache.get("https://a/"), null);
  }
});

test("many writers and readers at once meet whole entries only", async () => {
  using at = folder();
  const cache = openCollateralCache({ directory: at.path, now: () => NOW_MS });
  const entries = Array.from({ length: 8 }, (_, i) => ({
    parts: { x: new Uint8Array(20_000).fill(i) },
    expiresMs: NOW_MS + 1000 + i,
  }));
  await Promise.all(
    entries.map(async (entry) => {
      for (let round = 0; round < 5; round += 1) {
        await cache.put("https://a/", entry);
        const got = await cache.get("https://a/");
        assert.ok(entries.some(({ expiresMs }) => expiresMs === got?.expiresMs));
      }
    }),
  );
  assert.equal(readdirSync(at.path).length, 1);
});

test("what a process left that was killed while it wrote is removed an hour later, and nothing else", async () => {
  using at = folder();
  const cache = openCollateralCache({ directory: at.path, now: () => NOW_MS });
  await cache.put("https://a/", ENTRY);
  const [entry = ""] = readdirSync(at.path);
  const [old, fresh, other] = [`.${"0a".repeat(12)}`, `.${"0b".repeat(12)}`, ".keep"];
  for (const name of [old, fresh, other]) writeFileSync(join(at.path, name), "half");
  const foreign = `.${"0c".repeat(12)}`;
  mkdirSync(join(at.path, foreign));
  for (const name of [old, other, entry, foreign]) {
    const seconds = Date.now() / 1000 - 3700;
    utimesSync(join(at.path, name), seconds, seconds);
  }
  const young = Date.now() / 1000 - 3000;
  utimesSync(join(at.path, fresh), young, young);
  await cache.put("https://b/", ENTRY);
  const kept = readdirSync(at.path).sort();
  assert.equal(kept.length, 5);
  for (const name of [fresh, other, entry, foreign]) assert.ok(kept.includes(name));
  assert.deepEqual(await cache.get("https://a/"), ENTRY);
});

test("a clock that is apart from the file system's does not remove what another is writing", async () => {
  using at = folder();
  mkdirSync(at.path);
  const writing = join(at.path, `.${"0d".repeat(12)}`);
  writeFileSync(writing, "half");
  const ahead = openCollateralCache({ directory: at.path, now: () => Date.now() + 400 * DAY_MS });
  await ahead.put("https://a/", ENTRY);
  assert.equal(readFileSync(writing, "utf8"), "half");
});

test("what is cached is not fetched again until it expires; stale collateral is never given", async () => {
  using at = folder();
  const ports = portsOf(fakePcs(sampleCollateral("tdx")));
  const cache = openCollateralCache({ directory: at.path, now: ports.now });
  const options = { ports, cache, maxAgeMs: 3_600_000 };
  const first = await fetchDcapCollateral(REQUEST, options);
  assert.equal(ports.urls.length, 4);
  assert.deepEqual(await fetchDcapCollateral(REQUEST, options), first);
  assert.equal(ports.urls.length, 4);
  await fetchDcapCollateral({ ...REQUEST, ca: "processor" }, options);
  assert.equal(ports.urls.length, 5);
  ports.advance(3_600_000);
  await fetchDcapCollateral(REQUEST, options);
  assert.equal(ports.urls.length, 9);
  // The service is gone: what expired is not given in its place.
  ports.advance(3_600_000);
  const down = {
    ...options,
    ports: { ...ports, fetch: async () => new Response(null, { status: 404 }) },
  };
  await assert.rejects(fetchDcapCollateral(REQUEST, down), (error: unknown) =>
    isPpmlError(error, "attest.fetch"),
  );
});

test("an entry is kept no longer than it says itself, whatever the longest age", async () => {
  using at = folder();
  const ports = portsOf(fakePcs(sampleCollateral("tdx")));
  const cache = openCollateralCache({ directory: at.path, now: ports.now });
  await fetchDcapCollateral(REQUEST, { ports, cache, maxAgeMs: Number.MAX_SAFE_INTEGER / 2 });
  // The QE identity says 20 days, the PCK CRL 29, the TCB info 30, the root's CRL a year.
  ports.advance(25 * 86_400_000);
  await assert.rejects(
    fetchDcapCollateral(REQUEST, { ports, cache, maxAgeMs: 1e12 }),
    (error: unknown) =>
      isPpmlError(error, "attest.fetch") && /QE identity, but out of date/.test(error.message),
  );
  assert.deepEqual(ports.urls.slice(4), [
    "https://api.trustedservices.intel.com/tdx/certification/v4/qe/identity?update=standard",
  ]);
});

test("what failed is not kept", async () => {
  using at = folder();
  const cache = openCollateralCache({ directory: at.path, now: () => NOW_MS });
  const asked = { key: "https://a/", latestMs: NOW_MS + 1000 };
  await assert.rejects(
    fetchThrough(cache, asked, () => Promise.reject(new Error("down"))),
    /down/,
  );
  assert.deepEqual(await fetchThrough(cache, asked, async () => ENTRY), ENTRY.parts);
  assert.deepEqual(
    await fetchThrough(cache, asked, () => Promise.reject(new Error("not asked"))),
    ENTRY.parts,
  );
  assert.deepEqual(await fetchThrough(null, asked, async () => ({ ...ENTRY, parts: {} })), {});
});

test("calls at one time share one answer, so that a service is not asked once for each guest", async () => {
  using at = folder();
  const ports = portsOf(fakePcs(sampleCollateral("tdx")));
  const cache = openCollateralCache({ directory: at.path, now: ports.now });
  const fetchIt = () => fetchDcapCollateral(REQUEST, { ports, cache, maxAgeMs: 3_600_000 });
  const all = await Promise.all(Array.from({ length: 20 }, fetchIt));
  assert.equal(ports.urls.length, 4);
  for (const one of all) assert.deepEqual(one, all[0]);
  // A failure is shared by those who wait for it, and by nobody who comes later.
  let asked = 0;
  const failing = () =>
    fetchThrough(cache, { key: "https://a/", latestMs: NOW_MS + 1000 }, async () => {
      asked += 1;
      await Promise.resolve();
      throw new Error(`down ${asked}`);
    });
  const ended = await Promise.allSettled([failing(), failing()]);
  assert.deepEqual(
    ended.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  assert.equal(asked, 1);
  await assert.rejects(failing(), /down 2/);
});

test("a chip's certificate, which never changes, is not asked for each day; the revocation list is", async () => {
  using at = folder();
  const ports = portsOf(fakeKds(crlOf(NOW_MS + 400 * DAY_MS)));
  const cache = openCollateralCache({ directory: at.path, now: ports.now });
  const report = parseSnpReport(fromBase64Url(wire.evidence));
  const request = { service: AMD_KDS, report, product: null, have: {} };
  const fetchIt = () => completeSnpCollateral(request, { ports, cache, maxAgeMs: DAY_MS });
  await fetchIt();
  assert.equal(ports.urls.length, 3);
  ports.advance(DAY_MS);
  await fetchIt();
  assert.deepEqual(
    // Both at one time: either may come first.
    ports.urls
      .slice(3)
      .map((url) => url.replace(/^.*\//, ""))
      .sort(),
    ["cert_chain", "crl"],
  );
});

test("what was kept while the clock was ahead, or for a longer age, is not given for longer than wanted", async () => {
  using at = folder();
  const ports = portsOf(fakePcs(sampleCollateral("tdx")));
  const cache = openCollateralCache({ directory: at.path, now: ports.now });
  const fetchIt = (maxAgeMs: number) => fetchDcapCollateral(REQUEST, { ports, cache, maxAgeMs });
  ports.advance(15 * DAY_MS);
  await fetchIt(DAY_MS);
  ports.advance(-15 * DAY_MS);
  await fetchIt(DAY_MS);
  assert.equal(ports.urls.length, 8);
  await fetchIt(DAY_MS / 2);
  assert.equal(ports.urls.length, 12);
  await fetchIt(DAY_MS);
  assert.equal(ports.urls.length, 12);
});

test("a folder that cannot be used is told by its name", async () => {
  using at = folder();
  writeFileSync(at.path, "a file");
  const cache = openCollateralCache({ directory: at.path, now: () => NOW_MS });
  for (const use of [() => cache.put("k", ENTRY), () => cache.get("k")])
    await assert.rejects(
      use,
      (error: unknown) => isPpmlError(error, "attest.fetch") && error.message.includes(at.path),
    );
});
