import assert from "node:assert/strict";
import { test } from "node:test";
import { toBase64 } from "../../../src/base/index.ts";
import { parseAmdHostCertificates } from "../../../src/attest/evidence/amd-host-certificates.ts";
import { hostDataOfCcePolicy } from "../../../src/attest/evidence/cce-policy.ts";
import { sha256, utf8 } from "../../../src/base/index.ts";
import { parseCertificate } from "../../../src/attest/x509/certificate.ts";
import { milan } from "../snp-forms.ts";
import { skip, vectorText } from "../vectors.ts";

const { ark, authority, key } = milan.certificates;

function pem(der: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${toBase64(der).replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}

const good = {
  vcekCert: pem(key),
  tcbm: "DB1800000000000A",
  certificateChain: pem(authority) + pem(ark),
  cacheControl: "86400",
};

test("a host's certificates are read, leaf to root", () => {
  assert.deepEqual(parseAmdHostCertificates(JSON.stringify(good)), {
    vcek: key,
    ask: authority,
    ark,
    tcbm: 0xdb18_0000_0000_000an,
  });
});

test("unknown, missing and malformed parts are refused", () => {
  for (const changed of [
    { ...good, more: 1 },
    { ...good, tcbm: undefined },
    { ...good, tcbm: "12" },
    { ...good, vcekCert: "" },
    { ...good, vcekCert: pem(key) + pem(key) },
    { ...good, certificateChain: pem(authority) },
    { ...good, certificateChain: pem(authority) + pem(ark) + pem(ark) },
  ])
    assert.throws(() => parseAmdHostCertificates(JSON.stringify(changed)), {
      code: "attest.invalid",
    });
  for (const text of ["", "[", "null", " ".repeat(300_000)])
    assert.throws(() => parseAmdHostCertificates(text), { code: "attest.invalid" });
});

test("an Azure host's certificates are read", { skip }, () => {
  const host = parseAmdHostCertificates(vectorText("caci/uvm-host-amd-certificate.json"));
  const names = [host.vcek, host.ask, host.ark].map((der) => parseCertificate(der).commonName);
  assert.deepEqual(names, ["SEV-VCEK", "SEV-Milan", "ARK-Milan"]);
});

test("host data are the SHA-256 of the decoded enforcement policy", () => {
  const policy = utf8("package policy\n");
  assert.deepEqual(hostDataOfCcePolicy(toBase64(policy)), sha256(policy));
  for (const text of ["*", "YQ", " YQ==", "A".repeat(4 * 1024 * 1024 + 4)])
    assert.throws(() => hostDataOfCcePolicy(text), { code: "attest.invalid" });
});
