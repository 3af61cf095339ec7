import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { amdAuthority } from "../../../src/attest/collateral/amd-authorities.ts";
import {
  nameAmdCertificates,
  withAmdAuthorities,
} from "../../../src/attest/collateral/amd-certificates.ts";
import { AMD_SNP_TRUST } from "../../../src/attest/verify/amd-roots.ts";
import { parseCertificate } from "../../../src/attest/x509/certificate.ts";
import { concatBytes, toBase64Url, utf8 } from "../../../src/base/index.ts";
import { pki } from "../fixture.ts";
import { milan, wireOf } from "../snp-forms.ts";
import { pem } from "./pem.ts";

const PRODUCTS = ["Milan", "Genoa", "Turin"] as const;

test("AMD's authorities that are built in lead to the pinned root keys", () => {
  for (const product of PRODUCTS) {
    const ark = parseCertificate(amdAuthority(product, "ark"));
    const spki = ark.publicKey.export({ format: "der", type: "spki" });
    const digest = createHash("sha256").update(spki).digest("hex");
    assert.equal(digest, AMD_SNP_TRUST.arkKeySha256[product]);
    assert.equal(ark.commonName, `ARK-${product}`);
    for (const name of ["ask", "asvk"] as const) {
      const authority = parseCertificate(amdAuthority(product, name));
      assert.equal(authority.commonName, `SEV-${name === "asvk" ? "VLEK-" : ""}${product}`);
      const { algorithm } = AMD_SNP_TRUST;
      assert.equal(algorithm.verify(authority.tbs, ark.publicKey, authority.signature), true);
    }
  }
});

test("certificates of a chain are named by AMD's own names, in PEM or DER, in any order", () => {
  const ark = amdAuthority("Genoa", "ark");
  const ask = amdAuthority("Genoa", "ask");
  const both = concatBytes(utf8(pem(ask)), utf8(pem(ark)));
  assert.deepEqual(nameAmdCertificates(both), { ask: toBase64Url(ask), ark: toBase64Url(ark) });
  assert.deepEqual(nameAmdCertificates(amdAuthority("Turin", "asvk")), {
    asvk: toBase64Url(amdAuthority("Turin", "asvk")),
  });
  const twice = concatBytes(utf8(pem(ask)), utf8(pem(amdAuthority("Milan", "ask"))));
  assert.throws(() => nameAmdCertificates(twice), { code: "attest.invalid", message: /each once/ });
  assert.throws(() => nameAmdCertificates(pki.ark), { code: "attest.invalid" }, "a simulation's");
});

test("other Evidence than SNP's, and SNP's without its leaf, gets no authorities", () => {
  for (const type of ["tdx", "maa", "sim-snp", "snp"]) {
    const wire = { type, evidence: "", collateral: {} };
    assert.equal(withAmdAuthorities(wire), wire);
  }
});

test("a leaf that the host loaded as PEM gets its product's authorities as one in DER does", () => {
  const { key } = milan.certificates;
  const [fromDer, fromPem] = [key, utf8(pem(key))].map((vcek) => {
    const given = { ...wireOf(milan), collateral: { vcek: toBase64Url(vcek) } };
    return withAmdAuthorities(given).collateral;
  });
  assert.deepEqual(Object.keys(fromPem ?? {}).sort(), ["ark", "ask", "vcek"]);
  assert.equal(fromPem?.["ask"], fromDer?.["ask"]);
});
