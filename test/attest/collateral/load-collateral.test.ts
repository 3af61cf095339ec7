import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  encodeQuoteCollateralV3,
  parseDcapWireCollateral,
} from "../../../src/attest/collateral/dcap-collateral.ts";
import { loadCollateral } from "../../../src/attest/collateral/load-collateral.ts";
import { isPpmlError, toBase64Url } from "../../../src/base/index.ts";
import { pki } from "../fixture.ts";
import { sampleCollateral } from "./fake-services.ts";
import { pem } from "./pem.ts";

function folder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "ppml-load-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

function refused(path: string, message: RegExp): Promise<void> {
  return assert.rejects(loadCollateral(path), (error: unknown) => {
    assert.ok(
      isPpmlError(error, "attest.collateral") || isPpmlError(error, "attest.invalid"),
      String(error),
    );
    assert.match(error.message, message);
    return true;
  });
}

test("a file, and a folder with one, of QuoteCollateralV3 load as they go on the wire", async () => {
  using at = folder();
  const collateral = sampleCollateral("tdx");
  const path = join(at.path, "tdx.json");
  writeFileSync(path, JSON.stringify(encodeQuoteCollateralV3(collateral)));
  for (const from of [path, at.path])
    assert.deepEqual(parseDcapWireCollateral(await loadCollateral(from)), collateral);
});

test("collateral is known as JSON by what it holds: by any name, behind a byte order mark", async () => {
  using at = folder();
  const collateral = sampleCollateral("tdx");
  const text = JSON.stringify(encodeQuoteCollateralV3(collateral), null, 2);
  for (const [name, content] of [
    ["collateral", text],
    ["collateral.txt", `\n ${text}`],
    ["collateral.JSON", text],
    ["mark.json", `\u{feff}${text}`],
    ["mark", `\u{feff}${text}`],
  ] as const) {
    const path = join(at.path, name);
    writeFileSync(path, content);
    assert.deepEqual(parseDcapWireCollateral(await loadCollateral(path)), collateral, name);
  }
});

test("a file that holds neither JSON nor certificates says what was expected", async () => {
  using at = folder();
  for (const content of ["", "hello", "-----BEGIN CERTIFICATE-----\n", Buffer.alloc(100, 0x30)]) {
    const path = join(at.path, "noise");
    writeFileSync(path, content);
    await refused(path, /noise: expected JSON, or AMD's certificates in PEM or DER \(/);
  }
});

test("a folder of certificates loads by their names, from DER or PEM", async () => {
  using at = folder();
  writeFileSync(join(at.path, "ark.der"), pki.ark);
  writeFileSync(join(at.path, "ask.pem"), pem(pki.ask));
  writeFileSync(join(at.path, "vcek.crt"), pki.vcek);
  writeFileSync(join(at.path, "crl.crl"), "crl");
  writeFileSync(join(at.path, ".DS_Store"), "");
  assert.deepEqual(await loadCollateral(at.path), {
    ark: toBase64Url(pki.ark),
    ask: toBase64Url(pki.ask),
    vcek: toBase64Url(pki.vcek),
    crl: toBase64Url(new TextEncoder().encode("crl")),
  });
});

test("files that are missing, mistyped, doubled, no JSON or too long are refused by their names", async () => {
  using at = folder();
  await refused(join(at.path, "none"), /cannot be read/);
  await refused(at.path, /empty/);
  writeFileSync(join(at.path, "vceck.der"), pki.vcek);
  await refused(at.path, /vceck\.der: it is not one of the files/);
  rmSync(join(at.path, "vceck.der"));
  writeFileSync(join(at.path, "vcek.der"), pki.vcek);
  writeFileSync(join(at.path, "vcek.pem"), pem(pki.vcek));
  await refused(at.path, /two files of vcek/);
  writeFileSync(join(at.path, "vcek.pem"), pem(pki.vcek) + pem(pki.ask));
  rmSync(join(at.path, "vcek.der"));
  await refused(at.path, /one certificate/);
  await refused(join(at.path, "vcek.pem"), /expected AMD's ARK, ASK or ASVK/);
  const json = join(at.path, "c.json");
  for (const [text, message] of [
    ["{", /not JSON/],
    ["{}", /not valid/],
    ['{"a":1}', /not valid/],
  ] as const) {
    writeFileSync(json, text);
    await refused(json, message);
  }
  truncateSync(json, 4 * 1024 * 1024 + 1);
  await refused(json, /longer than 4194304 bytes/);
  const inner = join(at.path, "inner");
  mkdirSync(join(inner, "ark.der"), { recursive: true });
  await refused(inner, /it is a folder, not a file/);
});
