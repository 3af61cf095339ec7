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
import { fromUtf8, isPpmlError, toBase64Url, toHex, utf8 } from "../../../src/base/index.ts";
import { pki } from "../fixture.ts";
import { formOf } from "../snp-forms.ts";
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

/** An answer of Intel's service, as some program formatted it. */
const signed = (name: string, json: Uint8Array, signature: Uint8Array): string =>
  `{"${name}": ${fromUtf8(json)},\n "signature": "${toHex(signature).toUpperCase()}"}\n`;

test("a folder of what Intel's service gave, headers in files of their own, loads as one file would", async () => {
  const collateral = { ...sampleCollateral("tdx"), pckCertificateChain: utf8(pem(pki.vcek)) };
  const chain = fromUtf8(collateral.tcbInfoIssuerChain);
  const parts = {
    "tcb_info.json": signed("tcbInfo", collateral.tcbInfo, collateral.tcbInfoSignature),
    "qe_identity.json": signed(
      "enclaveIdentity",
      collateral.qeIdentity,
      collateral.qeIdentitySignature,
    ),
    "tcb_info_issuer_chain.pem": chain,
    "qe_identity_issuer_chain.pem": `${encodeURIComponent(chain)}\n`,
    "pck_crl_issuer_chain.pem": chain,
    "pck_certificate_chain.pem": pem(pki.vcek),
    "root_ca_crl.der": collateral.rootCaCrl,
    "pck_crl.crl": toHex(collateral.pckCrl),
  };
  using at = folder();
  for (const [name, content] of Object.entries(parts)) writeFileSync(join(at.path, name), content);
  assert.deepEqual(parseDcapWireCollateral(await loadCollateral(at.path)), collateral);

  writeFileSync(join(at.path, "root_ca_crl.pem"), pem(collateral.rootCaCrl, "X509 CRL"));
  await refused(at.path, /two files of root_ca_crl/);
  rmSync(join(at.path, "root_ca_crl.der"));
  assert.deepEqual(parseDcapWireCollateral(await loadCollateral(at.path)), collateral);

  for (const name of Object.keys(parts)) {
    if (/^(?:tcb_info\.json|pck_certificate_chain\.pem|root_ca_crl\.der)$/.test(name)) continue;
    rmSync(join(at.path, name));
    await refused(at.path, new RegExp(`lacks ${name.slice(0, -4)}`));
    writeFileSync(join(at.path, name), parts[name as keyof typeof parts]);
  }
  writeFileSync(join(at.path, "vcek.der"), pki.vcek);
  await refused(at.path, /vcek\.der is not one of the files that are looked for: tcb_info\.json/);
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

test("AMD's cert_chain beside a chip's certificate loads as its two authorities", async () => {
  const { ark, authority, key } = formOf("Milan").certificates;
  for (const name of ["cert_chain", "cert_chain.pem"]) {
    using at = folder();
    writeFileSync(join(at.path, name), pem(authority) + pem(ark));
    writeFileSync(join(at.path, "vcek.der"), key);
    const expected = { ark, ask: authority, vcek: key };
    assert.deepEqual(
      await loadCollateral(at.path),
      Object.fromEntries(Object.entries(expected).map(([part, der]) => [part, toBase64Url(der)])),
    );
    writeFileSync(join(at.path, "ask.der"), authority);
    await refused(at.path, /there are two files of ask/);
    writeFileSync(join(at.path, name), "no certificate");
    await refused(at.path, /cert_chain/);
  }
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
