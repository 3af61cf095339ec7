import assert from "node:assert/strict";
import { test } from "node:test";
import { Hono } from "hono";
import {
  AMD_KDS,
  completeSnpCollateral,
  fetchAmdChain,
  fetchAmdCrl,
  fetchVcek,
  vcekUrl,
} from "../../../src/attest/collateral/amd-kds.ts";
import { COLLATERAL_MAX_AGE_MS } from "../../../src/attest/collateral/fetch-part.ts";
import type { FetchOptions } from "../../../src/attest/collateral/fetch-part.ts";
import { encodeSnpTcb } from "../../../src/attest/evidence/snp-fields.ts";
import type { SnpReport } from "../../../src/attest/evidence/snp-report.ts";
import { isPpmlError } from "../../../src/base/index.ts";
import { NOW_MS, pki, unsignedReport } from "../fixture.ts";
import { crlOf, fakeKds } from "./fake-services.ts";
import { portsOf } from "./http-ports.ts";
import type { FakePorts } from "./http-ports.ts";
import { pem } from "./pem.ts";

function optionsOf(ports: FakePorts): FetchOptions {
  return { ports, cache: null, maxAgeMs: COLLATERAL_MAX_AGE_MS };
}

function report(changes: Partial<SnpReport> = {}): SnpReport {
  const empty = new Uint8Array(48);
  return { ...unsignedReport(), signature: { r: empty, s: empty }, ...changes };
}

const CHIP = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
const TURIN_CHIP = Uint8Array.from({ length: 64 }, (_, i) => (i < 8 ? 0xcd : 0));

test("a VCEK's URL has the chip and its TCB, in Turin's form with FMC and 8 bytes", () => {
  const hwid = Buffer.from(CHIP).toString("hex");
  const tcb = { bootloader: 3, tee: 0, snp: 10, microcode: 219, fmc: null };
  assert.equal(
    vcekUrl({ service: AMD_KDS, product: "Milan", chipId: CHIP, tcb }),
    `https://kdsintf.amd.com/vcek/v1/Milan/${hwid}?blSPL=03&teeSPL=00&snpSPL=10&ucodeSPL=219`,
  );
  assert.equal(
    vcekUrl({ service: AMD_KDS, product: "Turin", chipId: TURIN_CHIP, tcb: { ...tcb, fmc: 1 } }),
    "https://kdsintf.amd.com/vcek/v1/Turin/cdcdcdcdcdcdcdcd?fmcSPL=01&blSPL=03&teeSPL=00&snpSPL=10&ucodeSPL=219",
  );
  for (const wrong of [
    { product: "Turin", chipId: CHIP, tcb: { ...tcb, fmc: 1 } },
    { product: "Turin", chipId: TURIN_CHIP, tcb },
    { product: "Genoa", chipId: CHIP, tcb: { ...tcb, fmc: 1 } },
  ] as const)
    assert.throws(
      () => vcekUrl({ service: AMD_KDS, ...wrong }),
      (error: unknown) => isPpmlError(error, "attest.invalid"),
    );
});

test("VCEK, chain and revocation list come in DER", async () => {
  const ports = portsOf(fakeKds());
  const options = optionsOf(ports);
  const request = { service: AMD_KDS, product: "Genoa", kind: "vlek" } as const;
  assert.deepEqual(
    await fetchVcek({ ...request, chipId: CHIP, tcb: pki.chip.tcb }, options),
    pki.vcek,
  );
  assert.deepEqual(await fetchAmdChain(request, options), { intermediate: pki.ask, ark: pki.ark });
  assert.deepEqual(await fetchAmdCrl(request, options), crlOf(NOW_MS + 30 * 86_400_000));
  assert.deepEqual(ports.urls.slice(1), [
    `${AMD_KDS}/vlek/v1/Genoa/cert_chain`,
    `${AMD_KDS}/vlek/v1/Genoa/crl`,
  ]);
});

test("a report's collateral is completed: what the host gave stays", async () => {
  const ports = portsOf(fakeKds());
  const request = { service: AMD_KDS, report: report(), product: null };
  const all = await completeSnpCollateral({ ...request, have: {} }, optionsOf(ports));
  assert.deepEqual(all, {
    ark: pki.ark,
    ask: pki.ask,
    vcek: pki.vcek,
    crl: crlOf(NOW_MS + 30 * 86_400_000),
  });
  assert.ok(ports.urls[0]?.startsWith(`${AMD_KDS}/vcek/v1/Genoa/`));
  const have = { vcek: Uint8Array.of(1), ask: Uint8Array.of(2), uvm: Uint8Array.of(3) };
  const some = await completeSnpCollateral({ ...request, have }, optionsOf(portsOf(fakeKds())));
  assert.deepEqual(some, { ...all, ...have });
});

test("Turin reports ask with their own form of chip and TCB", async () => {
  const ports = portsOf(fakeKds());
  const tcb = { bootloader: 1, tee: 2, snp: 4, microcode: 82, fmc: 3 };
  const turin = report({
    cpuid: { famId: 0x1a, modId: 2, step: 1 },
    chipId: TURIN_CHIP,
    reportedTcb: encodeSnpTcb(tcb),
  });
  await completeSnpCollateral(
    { service: AMD_KDS, report: turin, product: null, have: {} },
    optionsOf(ports),
  );
  assert.equal(
    ports.urls[0],
    `${AMD_KDS}/vcek/v1/Turin/cdcdcdcdcdcdcdcd?fmcSPL=03&blSPL=01&teeSPL=02&snpSPL=04&ucodeSPL=82`,
  );
});

test("a VLEK comes from the host or not at all, and a report of version 2 does not tell its product", async () => {
  const options = optionsOf(portsOf(fakeKds()));
  const vlek = report({ signingKey: "vlek" });
  const request = { service: AMD_KDS, report: vlek, product: null };
  await assert.rejects(
    completeSnpCollateral({ ...request, have: {} }, options),
    (error: unknown) =>
      isPpmlError(error, "attest.fetch") && /only the host has/.test(error.message),
  );
  const found = await completeSnpCollateral({ ...request, have: { vlek: pki.vcek } }, options);
  assert.deepEqual(Object.keys(found).sort(), ["ark", "asvk", "crl", "vlek"]);
  const old = report({ version: 2, cpuid: null });
  await assert.rejects(
    completeSnpCollateral({ service: AMD_KDS, report: old, product: null, have: {} }, options),
    (error: unknown) => isPpmlError(error, "attest.invalid"),
  );
  await completeSnpCollateral(
    { service: AMD_KDS, report: old, product: "Milan", have: {} },
    options,
  );
});

test("answers that are something else, too long, out of date or missing are refused", async () => {
  const request = { service: AMD_KDS, product: "Milan", kind: "vcek" } as const;
  for (const [body, message] of [
    ["", /something else than the certificate chain/],
    [pem(pki.ask), /two certificates/],
    [pem(pki.ask).repeat(3), /two certificates/],
    ["x".repeat(64 * 1024 + 1), /over 65536/],
  ] as const) {
    const options = optionsOf(portsOf(new Hono().get("*", (c) => c.text(body))));
    await assert.rejects(
      fetchAmdChain(request, options),
      (error: unknown) => isPpmlError(error, "attest.fetch") && message.test(error.message),
    );
  }
  const stale = optionsOf(portsOf(fakeKds(crlOf(NOW_MS - 1000))));
  await assert.rejects(
    fetchAmdCrl(request, stale),
    (error: unknown) => isPpmlError(error, "attest.fetch") && /out of date/.test(error.message),
  );
  const cut = optionsOf(
    portsOf(new Hono().get("*", (c) => c.body(Uint8Array.from(pki.vcek.subarray(0, 99))))),
  );
  await assert.rejects(
    fetchVcek(
      { ...request, chipId: CHIP, tcb: { bootloader: 1, tee: 1, snp: 1, microcode: 1, fmc: null } },
      cut,
    ),
    (error: unknown) =>
      isPpmlError(error, "attest.fetch") && /something else than the VCEK/.test(error.message),
  );
  const none = portsOf(new Hono());
  await assert.rejects(
    fetchAmdCrl(request, optionsOf(none)),
    (error: unknown) => isPpmlError(error, "attest.fetch") && error.detail["status"] === 404,
  );
});
