import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Hono } from "hono";
import { AMD_KDS } from "../../../src/attest/collateral/amd-kds.ts";
import { completeEvidence } from "../../../src/attest/collateral/complete-evidence.ts";
import type { CollateralSources } from "../../../src/attest/collateral/complete-evidence.ts";
import { parseQuoteCollateralV3 } from "../../../src/attest/collateral/dcap-collateral.ts";
import { INTEL_PCS } from "../../../src/attest/collateral/intel-pcs.ts";
import { verifyDcapEvidence } from "../../../src/attest/verify/dcap/verify-dcap.ts";
import { isPpmlError, toBase64Url, utf8 } from "../../../src/base/index.ts";
import { skipWithout } from "../../shared-data.ts";
import { dcapIndex, indexPath, vectorBytes, vectorJson } from "../dcap-vectors.ts";
import { pki, wire } from "../fixture.ts";
import { formOf, milan, wireOf } from "../snp-forms.ts";
import { fakeKds, fakePcs } from "./fake-services.ts";
import { portsOf } from "./http-ports.ts";
import { pem } from "./pem.ts";

const skip = skipWithout(indexPath);

function sourcesOf(
  app: Hono,
  nowMs: number | null,
): CollateralSources & { readonly urls: string[] } {
  const ports = portsOf(app);
  return {
    ports: nowMs === null ? ports : { ...ports, now: () => nowMs },
    cache: null,
    maxAgeMs: 86_400_000,
    pcs: INTEL_PCS,
    update: "standard",
    kds: AMD_KDS,
    snpProduct: null,
    urls: ports.urls,
  };
}

test(
  "quotes of hardware that were completed from a service verify up to Intel's root",
  { skip },
  async () => {
    let seen = 0;
    for (const quote of dcapIndex.quotes) {
      const good = quote.collateral.find(
        ({ verdicts }) => verdicts["dcap-qvl-rs-0.7.1"]?.ok === true,
      );
      if (good === undefined || seen >= 6) continue;
      const collateral = parseQuoteCollateralV3(vectorJson(good.file));
      if (collateral.pckCertificateChain !== null) continue;
      const nowMs = good.verifyAt * 1000;
      const type = quote.kind === "sgx-v3" ? "sgx" : "tdx";
      const sources = sourcesOf(fakePcs(collateral), nowMs);
      const bare = { type, evidence: toBase64Url(vectorBytes(quote.file)), collateral: {} };
      const whole = await completeEvidence(bare, sources);
      assert.equal(verifyDcapEvidence(whole, { nowMs }).evidence.type, type);
      assert.equal(sources.urls.length, 4);
      assert.deepEqual(await completeEvidence(whole, sources), whole);
      assert.equal(sources.urls.length, 4);
      seen += 1;
    }
    assert.equal(seen, 6);
  },
);

test("an SNP report gets its chip's certificates and the revocation list", async () => {
  const bare = { type: "snp", evidence: wire.evidence, collateral: {} };
  const whole = await completeEvidence(bare, sourcesOf(fakeKds(), null));
  assert.deepEqual(Object.keys(whole.collateral).sort(), ["ark", "ask", "crl", "vcek"]);
  assert.equal(whole.collateral["vcek"], toBase64Url(pki.vcek));
});

test("a report of version 2 is completed by the product of the leaf that came with it", async () => {
  for (const [form, names] of [
    [milan, ["ark", "ask", "crl", "vcek"]],
    [formOf("Genoa", "vlek"), ["ark", "asvk", "crl", "vlek"]],
  ] as const) {
    const { evidence } = wireOf(form, { version: 2, cpuid: null });
    const leaf = form.certificates.key;
    for (const bytes of [leaf, utf8(pem(leaf))]) {
      const sources = sourcesOf(fakeKds(), null);
      const collateral = { [names[3]]: toBase64Url(bytes) };
      const whole = await completeEvidence({ type: "snp", evidence, collateral }, sources);
      assert.deepEqual(Object.keys(whole.collateral).sort(), names);
      const at = `${AMD_KDS}/${names[3]}/v1/${form.product}`;
      assert.deepEqual(sources.urls, [`${at}/cert_chain`, `${at}/crl`]);
    }
  }
  const bare = { ...wireOf(milan, { version: 2, cpuid: null }), collateral: {} };
  await assert.rejects(completeEvidence(bare, sourcesOf(fakeKds(), null)), {
    code: "attest.invalid",
    message: /does not tell its product/,
  });
});

test("AMD's service is not asked for a chain that came along", async () => {
  const sources = sourcesOf(fakeKds(), null);
  const given = wireOf(milan);
  const whole = await completeEvidence(given, sources);
  assert.deepEqual(sources.urls, [`${AMD_KDS}/vcek/v1/Milan/crl`]);
  assert.deepEqual({ ...whole.collateral, crl: "" }, { ...given.collateral, crl: "" });
});

const azure = indexPath?.replace("index.json", "azure-vtpm/") ?? "";
test("Azure vTPM Evidence is completed by what its hardware report needs", { skip }, async () => {
  const snp = readFileSync(`${azure}trustee-az-snp-vtpm-evidence-v1.json`);
  const sources = sourcesOf(fakeKds(), null);
  const whole = await completeEvidence(
    { type: "az-snp-vtpm", evidence: toBase64Url(snp), collateral: {} },
    sources,
  );
  assert.deepEqual(Object.keys(whole.collateral).sort(), ["ark", "ask", "crl"]);
  assert.ok(sources.urls.every((url) => url.startsWith(`${AMD_KDS}/vcek/v1/Milan/`)));
});

test("Evidence of other types, and bytes that are no Evidence, are refused", async () => {
  const sources = sourcesOf(new Hono(), null);
  for (const type of ["sim-snp", "maa", "nitro"])
    await assert.rejects(completeEvidence({ ...wire, type }, sources), (error: unknown) =>
      isPpmlError(error, "attest.unsupported"),
    );
  for (const type of ["sgx", "tdx", "snp", "az-snp-vtpm", "az-tdx-vtpm"])
    for (const evidence of ["", "AAAA", "***"])
      await assert.rejects(
        completeEvidence({ type, evidence, collateral: {} }, sources),
        (error: unknown) =>
          isPpmlError(error, "attest.invalid") || isPpmlError(error, "attest.unsupported"),
      );
  assert.deepEqual(sources.urls, []);
});
