import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { utf8 } from "../../../../src/base/index.ts";
import type { DcapCollateral } from "../../../../src/attest/collateral/dcap-collateral.ts";
import { createSimDcapPki } from "../../../../src/attest/sim/dcap-pki.ts";
import { collateralKey, createDcapCache } from "../../../../src/attest/verify/dcap/cache.ts";
import { parseCertificate } from "../../../../src/attest/x509/certificate.ts";
import { trustAnchorOf } from "../../../../src/attest/x509/chain.ts";
import { DAY_MS, makeCase, NOW_MS, pki, verifyCase } from "../../dcap-fixture.ts";

const cacheOf = (max = 10) => createDcapCache({ maxCollateral: max, maxPlatforms: max });

/** A cache that has seen the good case, and what it gave. */
function warm() {
  const cache = cacheOf();
  const options = makeCase("tdx v5, TD 1.5");
  const first = verifyCase({ ...options, cache });
  return { cache, options, first };
}

describe("a warm cache", () => {
  test("gives what a fresh verification gives, and remembers once", () => {
    const { cache, options, first } = warm();
    assert.deepEqual(verifyCase({ ...options, cache }), first);
    assert.deepEqual(verifyCase(options), first);
    assert.deepEqual([cache.collateral.size(), cache.pck.size(), cache.qe.size()], [1, 1, 1]);
  });

  test("does not serve collateral that is out of date by then", () => {
    const { cache, options } = warm();
    for (const nowMs of [NOW_MS + 31 * DAY_MS, NOW_MS - DAY_MS, Number.NaN])
      assert.throws(() => verifyCase({ ...options, cache, nowMs }), { code: "attest.collateral" });
    assert.equal(verifyCase({ ...options, cache }).verification.tcbStatus, "UpToDate");
  });

  test("does not serve a PCK chain whose certificate or CRL is out of date by then", () => {
    const cache = cacheOf();
    const expiring = createSimDcapPki({
      seed: new Uint8Array(32).fill(3),
      nowMs: NOW_MS,
      change: (role, request) =>
        role === "pck" ? { ...request, notAfterMs: NOW_MS + 2 * DAY_MS } : request,
    });
    const options = makeCase("sgx v3", { pki: expiring });
    verifyCase({ ...options, cache });
    assert.throws(() => verifyCase({ ...options, cache, nowMs: NOW_MS + 3 * DAY_MS }), {
      code: "attest.not_verified",
      message: /is valid from/,
    });
    const stale = makeCase("sgx v3", { collateral: { pckCrl: { nextUpdateMs: NOW_MS + DAY_MS } } });
    verifyCase({ ...stale, cache });
    assert.throws(() => verifyCase({ ...stale, cache, nowMs: NOW_MS + 2 * DAY_MS }), {
      code: "attest.collateral",
      message: /the PCK CRL is of/,
    });
  });

  test("is not asked about changed collateral: each part of it counts", () => {
    const { cache, options } = warm();
    const members = Object.keys(options.collateral) as (keyof DcapCollateral)[];
    const anchor = trustAnchorOf(parseCertificate(pki.certificates.root));
    const known = collateralKey(options.collateral, anchor);
    for (const member of members) {
      const bytes = options.collateral[member];
      if (bytes === null) continue;
      const changed = Uint8Array.from(bytes);
      const middle = changed.byteLength >> 1;
      changed[middle] = (changed[middle] ?? 0) ^ 1;
      const collateral = { ...options.collateral, [member]: changed };
      assert.notEqual(collateralKey(collateral, anchor), known, member);
      // Nothing reads the PCK CRL's issuer chain: the CA of the PCK chain has to have signed it.
      if (member !== "pckCrlIssuerChain")
        assert.throws(() => verifyCase({ ...options, collateral, cache }), member);
    }
  });

  test("is not asked where bytes moved from one part to the next", () => {
    const { options } = warm();
    const anchor = trustAnchorOf(parseCertificate(pki.certificates.root));
    const shifted = {
      ...options.collateral,
      tcbInfo: utf8("ab"),
      tcbInfoSignature: utf8("c"),
    };
    const other = { ...shifted, tcbInfo: utf8("a"), tcbInfoSignature: utf8("bc") };
    assert.notEqual(collateralKey(shifted, anchor), collateralKey(other, anchor));
  });

  test("is not asked under another root", () => {
    const { cache, options } = warm();
    const { root } = createSimDcapPki({
      seed: new Uint8Array(32).fill(4),
      nowMs: NOW_MS,
    }).certificates;
    assert.throws(() => verifyCase({ ...options, cache, root }), { code: "attest.not_verified" });
  });

  test("does not spare a PCK that newer collateral revokes", () => {
    const { cache, options } = warm();
    const { collateral } = makeCase("tdx v5, TD 1.5", {
      collateral: { pckCrl: { serials: [pki.serials.pck] } },
    });
    assert.throws(() => verifyCase({ ...options, collateral, cache }), { code: "attest.revoked" });
  });

  test("does not serve a Quoting Enclave for another attestation key, report, or identity", () => {
    const { cache, options } = warm();
    const kind = "tdx v5, TD 1.5";
    // A quote by the same key, whose QE differs in one field that the identity does not allow.
    const { quote } = makeCase(kind, { quote: { qeReport: { isvProdId: 9 } } });
    assert.throws(() => verifyCase({ ...options, quote, cache }), { message: /ISVPRODID/ });
    const stricter = makeCase(kind, { collateral: { qeIdentity: { isvprodid: 9 } } });
    const { collateral } = stricter;
    assert.throws(() => verifyCase({ ...options, collateral, cache }), { message: /ISVPRODID/ });
    const other = createSimDcapPki({ seed: new Uint8Array(32).fill(6), nowMs: NOW_MS });
    const keys = { ...pki.keys, attestation: other.keys.attestation };
    const another = makeCase(kind, { pki: { ...pki, keys } });
    verifyCase({ ...options, quote: another.quote, cache });
    assert.equal(cache.qe.size(), 2);
  });

  test("still checks the quote itself", () => {
    const { cache, options } = warm();
    const quote = Uint8Array.from(options.quote);
    quote[54 + 136] = (quote[54 + 136] ?? 0) ^ 1;
    assert.throws(() => verifyCase({ ...options, quote, cache }), {
      message: /not signed by its attestation key/,
    });
  });

  test("is not changed by what is done to its results or to the bytes that were given", () => {
    const cache = cacheOf();
    const options = makeCase("sgx v3");
    const lent = Object.fromEntries(
      Object.entries(options.collateral).map(([name, bytes]) => [
        name,
        bytes === null ? null : Uint8Array.from(bytes),
      ]),
    ) as DcapCollateral;
    const first = verifyCase({ ...options, collateral: lent, cache });
    const { pck } = first.verification;
    for (const bytes of [pck.cpuSvn, pck.fmspc, pck.ppid, ...Object.values(lent)]) bytes?.fill(0);
    assert.deepEqual(verifyCase({ ...options, cache }), verifyCase(options));
  });
});

test("what was refused is not remembered", () => {
  const cache = cacheOf();
  const options = makeCase("sgx v3", {
    collateral: { rootCaCrl: { serials: [pki.serials.pckCa] } },
  });
  for (let round = 0; round < 2; round += 1)
    assert.throws(() => verifyCase({ ...options, cache }), { code: "attest.revoked" });
  assert.equal(cache.pck.size(), 0);
});

test("a cache forgets what was used longest ago", () => {
  const { collateral } = createDcapCache({ maxCollateral: 2, maxPlatforms: 1 });
  const entry = {} as NonNullable<ReturnType<typeof collateral.get>>;
  collateral.set("a", entry);
  collateral.set("b", entry);
  collateral.get("a");
  collateral.set("c", entry);
  assert.deepEqual(
    ["a", "b", "c"].map((key) => collateral.get(key) !== undefined),
    [true, false, true],
  );
  assert.equal(collateral.size(), 2);
});
