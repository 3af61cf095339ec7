import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import { concatBytes, utf8 } from "../../../../src/base/index.ts";
import { authorityExtensions, extension } from "../../../../src/attest/x509/issue-certificate.ts";
import type { CertificateRequest } from "../../../../src/attest/x509/issue-certificate.ts";
import { createSimDcapPki } from "../../../../src/attest/sim/dcap-pki.ts";
import type { DcapRole, SimDcapPki } from "../../../../src/attest/sim/dcap-pki.ts";
import { derBitString, derInteger, derSequence } from "../../../../src/attest/der/write.ts";
import { encodePem } from "../../../../src/attest/sim/pem-write.ts";
import { DAY_MS, makeCase, NOW_MS, pki, SEED, verifyCase } from "../../dcap-fixture.ts";
import type { DcapCase } from "../../dcap-fixture.ts";

/** The shared hierarchy with one certificate made another way. */
function hierarchy(
  role: DcapRole,
  change: (request: CertificateRequest) => Partial<CertificateRequest>,
): SimDcapPki {
  return createSimDcapPki({
    seed: SEED,
    nowMs: NOW_MS,
    change: (current, request) => (current === role ? { ...request, ...change(request) } : request),
  });
}

function refuses(
  options: DcapCase & { readonly root?: Uint8Array; readonly nowMs?: number },
  expected: { readonly code: string; readonly message: RegExp },
): void {
  assert.throws(() => verifyCase(options), expected);
}

/** A good case whose quote holds the given certificates, leaf first. */
function withChain(...certificates: readonly Uint8Array[]): DcapCase {
  return makeCase("sgx v3", {
    quote: { certificationData: { type: 5, data: utf8(encodePem(...certificates)) } },
  });
}

const { root, pckCa, pck, tcbSigner } = pki.certificates;
const notVerified = (message: RegExp) => ({ code: "attest.not_verified", message });
const keyUsage = (bits: number) =>
  extension("2.5.29.15", { critical: true, value: derBitString(Uint8Array.of(bits)) });

/** A good case whose certificate of that role has other extensions. */
function withExtensions(role: DcapRole, extensions: readonly Uint8Array[]): DcapCase {
  return makeCase("sgx v3", { pki: hierarchy(role, () => ({ extensions })) });
}

/** A good case whose signer's certificate was made another way. */
function withSigner(
  change: (request: CertificateRequest) => Partial<CertificateRequest>,
): DcapCase {
  return makeCase("tdx v4", { pki: hierarchy("tcbSigner", change) });
}

const pemOf = (...certificates: readonly Uint8Array[]) => utf8(encodePem(...certificates));

describe("a PCK chain is refused", () => {
  test("in the wrong order", () => {
    refuses(withChain(pckCa, pck, root), notVerified(/was not issued by/));
    refuses(withChain(root, pckCa, pck), notVerified(/expected 1 to 2 certificates|issued by/));
  });

  test("without its CA, with another CA's certificate, or with one more below the root", () => {
    refuses(withChain(pck, root), notVerified(/was not issued by/));
    refuses(withChain(pck, tcbSigner, root), notVerified(/not a certificate authority|issued by/));
    refuses(withChain(pck, pckCa, pckCa, root), notVerified(/expected 1 to 2 certificates/));
  });

  test("that ends in another root of the right name", () => {
    const foreign = createSimDcapPki({ seed: new Uint8Array(32).fill(9), nowMs: NOW_MS });
    refuses(
      { ...makeCase("sgx v3", { pki: foreign }), root },
      { code: "attest.not_verified", message: /not signed by its issuer's key/ },
    );
    // Collateral of the right root, so that the chain in the quote is what is looked at.
    const { quote } = makeCase("sgx v3", { pki: foreign });
    refuses({ ...makeCase("sgx v3"), quote }, notVerified(/a root .* that is not the pinned one/));
    const unsaid = withChain(foreign.certificates.pck, foreign.certificates.pckCa);
    refuses(unsaid, notVerified(/is not signed by the key of/));
  });

  test("whose certificate is expired or not yet valid, whichever it is", () => {
    for (const role of ["pckCa", "pck"] as const)
      for (const times of [{ notAfterMs: NOW_MS - 1000 }, { notBeforeMs: NOW_MS + 1000 }])
        refuses(
          makeCase("sgx v3", { pki: hierarchy(role, () => times) }),
          notVerified(/is valid from/),
        );
  });

  test("whose CA is no authority, may not sign certificates, or may not sign CRLs", () => {
    const [constraints = root] = authorityExtensions(0);
    refuses(withExtensions("pckCa", [keyUsage(0x06)]), notVerified(/not a certificate authority/));
    refuses(withExtensions("pckCa", [constraints]), notVerified(/no key usage keyCertSign/));
    refuses(
      withExtensions("pckCa", [constraints, keyUsage(0x02)]),
      notVerified(/no key usage keyCertSign/),
    );
    refuses(
      withExtensions("pckCa", [constraints, keyUsage(0x04)]),
      notVerified(/no key usage cRLSign/),
    );
  });

  test("whose PCK is an authority, or has another use than signatures", () => {
    refuses(
      withExtensions("pck", authorityExtensions(0)),
      notVerified(/is a certificate authority/),
    );
    refuses(
      withExtensions("pck", [keyUsage(0x20)]),
      notVerified(/key usage other than digitalSignature/),
    );
  });

  test("with a critical extension that nobody here knows", () => {
    const unknown = extension("1.2.3.4", { critical: true, value: derSequence() });
    for (const role of ["pckCa", "pck"] as const) {
      const changed = hierarchy(role, ({ extensions }) => ({
        extensions: [...extensions, unknown],
      }));
      refuses(makeCase("sgx v3", { pki: changed }), notVerified(/critical extension 1\.2\.3\.4/));
    }
  });

  test("whose signature is of another key or another curve's algorithm", () => {
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const large = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
    const make = (issuerKey: typeof other) =>
      makeCase("sgx v3", { pki: hierarchy("pck", () => ({ issuerKey })) });
    refuses(make(other), notVerified(/is not signed by the key of/));
    refuses(make(large), notVerified(/expected ecdsa-with-SHA256 on P-256/));
  });

  test("whose leaf has no SGX extension", () => {
    const bare = hierarchy("pck", ({ extensions }) => ({ extensions: extensions.slice(0, 2) }));
    refuses(makeCase("sgx v3", { pki: bare }), {
      code: "attest.invalid",
      message: /no extension 1\.2\.840\.113741\.1\.13\.1/,
    });
  });

  test("whose certificates were revoked", () => {
    const pckRevoked = { pckCrl: { serials: [Uint8Array.of(7), pki.serials.pck] } };
    refuses(makeCase("sgx v3", { collateral: pckRevoked }), {
      code: "attest.revoked",
      message: /"PCK PPML SIMULATION/,
    });
    const caRevoked = { rootCaCrl: { serials: [pki.serials.pckCa] } };
    refuses(makeCase("sgx v3", { collateral: caRevoked }), {
      code: "attest.revoked",
      message: /"PCK Platform CA/,
    });
  });
});

describe("a signer of TCB info and QE identity is refused", () => {
  test("where it is an authority, or has another use than signatures", () => {
    refuses(
      withSigner(() => ({ extensions: authorityExtensions(0) })),
      notVerified(/is a certificate authority/),
    );
    refuses(
      withSigner(() => ({ extensions: [keyUsage(0x04)] })),
      notVerified(/key usage other/),
    );
  });

  test("where it is expired or not yet valid", () => {
    for (const times of [{ notAfterMs: NOW_MS - 1000 }, { notBeforeMs: NOW_MS + 1000 }])
      refuses(
        withSigner(() => times),
        notVerified(/is valid from/),
      );
  });

  test("where it was revoked, and so is everything where the root was", () => {
    for (const role of ["tcbSigner", "root"] as const)
      refuses(makeCase("tdx v4", { collateral: { rootCaCrl: { serials: [pki.serials[role]] } } }), {
        code: "attest.revoked",
        message: /revoke/,
      });
  });

  test("where the root did not certify it itself", () => {
    const { collateral, ...rest } = makeCase("tdx v4");
    const below = hierarchy("tcbSigner", () => ({
      issuer: pki.names.pckCa,
      issuerKey: pki.keys.pckCa,
    })).certificates.tcbSigner;
    for (const [pem, message] of [
      [pemOf(below, pckCa, root), /expected 1 to 1 certificates/],
      [pemOf(below, root), /was not issued by/],
      [pemOf(root), /expected 1 to 1 certificates below the root .*, got 0/],
    ] as const)
      for (const member of ["tcbInfoIssuerChain", "qeIdentityIssuerChain"] as const)
        refuses({ ...rest, collateral: { ...collateral, [member]: pem } }, notVerified(message));
  });
});

describe("CRLs", () => {
  test("that their issuer did not sign are refused", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    for (const crl of ["rootCaCrl", "pckCrl"] as const)
      refuses(
        makeCase("sgx v3", { collateral: { [crl]: { issuerKey: privateKey } } }),
        notVerified(/CRL is not signed by its issuer's key/),
      );
  });

  test("that are stale, or of the future, are refused", () => {
    for (const crl of ["rootCaCrl", "pckCrl"] as const)
      for (const times of [
        { thisUpdateMs: NOW_MS - 2 * DAY_MS, nextUpdateMs: NOW_MS - 1000 },
        { thisUpdateMs: NOW_MS + 1000 },
      ])
        refuses(makeCase("sgx v3", { collateral: { [crl]: times } }), {
          code: "attest.collateral",
          message: /CRL is of .*: fetch the collateral again/,
        });
  });

  test("of another issuer are refused, also where that issuer is one of the hierarchy", () => {
    const good = makeCase("sgx v3");
    const { rootCaCrl, pckCrl } = good.collateral;
    const other = { code: "attest.collateral", message: /of another issuer|no CRL of the issuer/ };
    refuses({ ...good, collateral: { ...good.collateral, rootCaCrl: pckCrl } }, other);
    refuses({ ...good, collateral: { ...good.collateral, pckCrl: rootCaCrl } }, other);
  });
});

test("a root that was issued anew with the same key and name is the same root", () => {
  const renewed = hierarchy("root", () => ({
    notAfterMs: NOW_MS - 1000,
    serial: Uint8Array.of(3),
  }));
  const options = withChain(pck, pckCa, renewed.certificates.root);
  assert.equal(verifyCase(options).verification.tcbStatus, "UpToDate");
});

test("a chain without its root, and a PCK that the root certified itself, are good", () => {
  assert.equal(verifyCase(withChain(pck, pckCa)).verification.tcbStatus, "UpToDate");
  const direct = hierarchy("pck", () => ({
    issuer: pki.names.root,
    issuerKey: pki.keys.root,
  }));
  const { quote } = makeCase("sgx v3", {
    pki: direct,
    quote: {
      certificationData: { type: 5, data: utf8(encodePem(direct.certificates.pck, root)) },
    },
  });
  const { verification } = verifyCase({ ...makeCase("sgx v3"), quote });
  assert.equal(verification.collateral.pckCrl, null);
});

test("a chain is read to its end: other text in it is refused", () => {
  const pem = utf8(encodePem(pck, pckCa, root));
  for (const text of [concatBytes(utf8("x\n"), pem), concatBytes(pem, utf8("x")), utf8("")])
    refuses(makeCase("sgx v3", { quote: { certificationData: { type: 5, data: text } } }), {
      code: "attest.invalid",
      message: /expected certificates in PEM/,
    });
});

test("serial numbers are compared whole", () => {
  const longer = [Uint8Array.of(0x7f, ...pki.serials.pck), pki.serials.pck.subarray(0, 15)];
  const options = makeCase("sgx v3", { collateral: { pckCrl: { serials: longer } } });
  assert.equal(verifyCase(options).verification.tcbStatus, "UpToDate");
  assert.equal(derInteger(pki.serials.pck).byteLength, 18);
});
