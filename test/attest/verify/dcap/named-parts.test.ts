import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, utf8 } from "../../../../src/base/index.ts";
import type { DcapCollateral } from "../../../../src/attest/collateral/dcap-collateral.ts";
import { encodePem } from "../../../../src/attest/sim/pem-write.ts";
import { makeCase, pki, verifyCase } from "../../dcap-fixture.ts";

const good = makeCase("tdx v4");
const { root, pckCa, pck, tcbSigner } = pki.certificates;
/** A certificate that lacks its end, in PEM that is whole. */
const cut = (certificate: Uint8Array, ...rest: readonly Uint8Array[]) =>
  utf8(encodePem(certificate.subarray(0, -5), ...rest));

/** Each part whose form is refused, and how the error has to begin. */
const PARTS: readonly (readonly [keyof DcapCollateral, Uint8Array, RegExp])[] = [
  ["rootCaCrl", new Uint8Array(), /^the root CA's CRL: not valid DER/],
  ["rootCaCrl", good.collateral.rootCaCrl.subarray(0, -1), /^the root CA's CRL: not valid DER/],
  ["pckCrl", good.collateral.pckCrl.subarray(0, 40), /^the PCK CRL: not valid DER/],
  ["pckCrl", root, /^the PCK CRL: not valid DER/],
  ["tcbInfoIssuerChain", utf8(""), /^the TCB info's issuer chain: expected certificates in PEM/],
  ["tcbInfoIssuerChain", cut(tcbSigner, root), /^the TCB info's issuer chain: not valid DER/],
  ["qeIdentityIssuerChain", utf8("x"), /^the QE identity's issuer chain: expected certificates/],
  ["pckCertificateChain", utf8(encodePem(root)).subarray(1), /^the PCK's certificate chain: exp/],
  ["pckCertificateChain", cut(pck, pckCa, root), /^the PCK's certificate chain: not valid DER/],
];

test("a part of the collateral whose form is wrong is named by the error", () => {
  for (const [name, bytes, message] of PARTS)
    assert.throws(
      () => verifyCase({ ...good, collateral: { ...good.collateral, [name]: bytes } }),
      { code: "attest.invalid", message },
    );
});

test("so is the chain in the quote", () => {
  const data = concatBytes(utf8("x"), utf8(encodePem(pck, pckCa, root)));
  const options = makeCase("sgx v3", { quote: { certificationData: { type: 5, data } } });
  assert.throws(() => verifyCase(options), {
    code: "attest.invalid",
    message: /^the PCK's certificate chain: expected certificates in PEM, but other text/,
  });
});
