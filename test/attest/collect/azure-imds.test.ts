import assert from "node:assert/strict";
import { test } from "node:test";
import { Hono } from "hono";
import {
  AZURE_HOST,
  fetchAzureAmdCertificates,
  fetchTdQuote,
} from "../../../src/attest/collect/azure-imds.ts";
import { parsePemCertificates } from "../../../src/attest/x509/pem.ts";
import { fromBase64Url, isPpmlError, toBase64Url } from "../../../src/base/index.ts";
import { portsOf } from "../collateral/http-ports.ts";
import { pem } from "../collateral/pem.ts";
import { pki } from "../fixture.ts";

const fetchFailed = (message: RegExp) => (error: unknown) =>
  isPpmlError(error, "attest.fetch") && message.test(error.message);

test("a TDREPORT goes to Azure's host as base64url, and the quote comes back", async () => {
  const app = new Hono().post("/acc/tdquote", async (c) => {
    assert.equal(c.req.header("metadata"), "true");
    const { report } = await c.req.json<{ report: string }>();
    assert.deepEqual(fromBase64Url(report), new Uint8Array(1024).fill(5));
    return c.json({ quote: `${toBase64Url(Uint8Array.of(4, 0, 2, 0))}==`, other: 1 });
  });
  const quote = await fetchTdQuote(portsOf(app), {
    host: AZURE_HOST,
    tdReport: new Uint8Array(1024).fill(5),
  });
  assert.deepEqual(quote, Uint8Array.of(4, 0, 2, 0));
});

test("a host that gives something else than a quote is told", async () => {
  for (const body of ["<html>", "{}", '{"quote":"**"}', '{"quote":7}']) {
    const app = new Hono().post("/acc/tdquote", (c) => c.body(body));
    await assert.rejects(
      fetchTdQuote(portsOf(app), { host: AZURE_HOST, tdReport: new Uint8Array(1024) }),
      fetchFailed(/something else than the TD quote/),
    );
  }
  await assert.rejects(
    fetchTdQuote(portsOf(new Hono()), { host: AZURE_HOST, tdReport: new Uint8Array(1024) }),
    fetchFailed(/169\.254\.169\.254 did not give the TD quote: it answered 404/),
  );
});

test("the chip's certificates come from THIM in DER, leaf to root", async () => {
  const app = new Hono().get("/metadata/THIM/amd/certification", (c) => {
    assert.equal(c.req.header("metadata"), "true");
    return c.json({
      vcekCert: pem(pki.vcek),
      tcbm: "DB16000000000004",
      certificateChain: pem(pki.ask) + pem(pki.ark),
      cacheControl: "86400",
    });
  });
  const found = await fetchAzureAmdCertificates(portsOf(app), { host: AZURE_HOST });
  assert.deepEqual(found, {
    vcek: pki.vcek,
    ask: pki.ask,
    ark: pki.ark,
    tcbm: 0xdb16000000000004n,
  });
  assert.deepEqual(parsePemCertificates(pem(pki.vcek)), [pki.vcek]);
  const broken = new Hono().get("*", (c) => c.json({ vcekCert: "" }));
  await assert.rejects(
    fetchAzureAmdCertificates(portsOf(broken), { host: AZURE_HOST }),
    fetchFailed(/something else than the chip's certificates/),
  );
});

test("a host whose service is being updated is asked again until that is over", async () => {
  let asked = 0;
  const app = new Hono().post("/acc/tdquote", (c) => {
    asked += 1;
    return asked < 4 ? c.body(null, 410) : c.json({ quote: "BAAC" });
  });
  const ports = portsOf(app);
  const quote = await fetchTdQuote(ports, { host: AZURE_HOST, tdReport: new Uint8Array(1024) });
  assert.deepEqual(quote, Uint8Array.of(4, 0, 2));
  assert.ok(ports.pauses.reduce((sum, ms) => sum + ms, 0) >= 70_000, String(ports.pauses));
  const gone = portsOf(new Hono().post("/acc/tdquote", (c) => c.body(null, 410)));
  await assert.rejects(
    fetchTdQuote(gone, { host: AZURE_HOST, tdReport: new Uint8Array(1024) }),
    fetchFailed(/it answered 410 \(asked 4 times\)/),
  );
});
