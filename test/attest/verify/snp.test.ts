import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toBase64Url, utf8 } from "../../../src/base/index.ts";
import { vcekExtensions, vlekExtensions } from "../../../src/attest/sim/chip-key-extensions.ts";
import { authorityExtensions, extension } from "../../../src/attest/x509/issue-certificate.ts";
import { issueCrl } from "../../../src/attest/sim/crl.ts";
import { createSnpForm, snpFormReport, snpFormWire } from "../../../src/attest/sim/snp-form.ts";
import type { SnpForm } from "../../../src/attest/sim/snp-form.ts";
import { encodeSnpTcb, SNP_PRODUCTS } from "../../../src/attest/evidence/snp-fields.ts";
import { verifySnpEvidence } from "../../../src/attest/verify/snp.ts";
import { rsaPssSha384, RSA_4096_PSS_SHA384 } from "../../../src/attest/x509/rsa.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import {
  formOf,
  keys,
  milan,
  newEcKey,
  NOW_MS,
  rsa4096,
  verifyForm,
  wireOf,
  withPart,
  YEAR_MS,
} from "../snp-forms.ts";

const KINDS = ["vcek", "vlek"] as const;

const refuses = (
  form: SnpForm,
  wire: WireEvidence,
  expected: { message: RegExp; code?: string; nowMs?: number },
) =>
  assert.throws(() => verifyForm(form, wire, expected.nowMs ?? NOW_MS), {
    name: "PpmlError",
    code: expected.code ?? "attest.not_verified",
    message: expected.message,
  });

describe("a report of every product, kind of key and version verifies", () => {
  for (const product of SNP_PRODUCTS)
    for (const kind of KINDS)
      test(`${product}, ${kind}`, () => {
        const form = formOf(product, kind);
        for (const version of [2, 3, 4, 5] as const) {
          const wire = snpFormWire(form, snpFormReport(form, version));
          const { evidence, profile, simulated, verifiedAt } = verifyForm(form, wire);
          assert.deepEqual(
            { profile, simulated, verifiedAt },
            { profile: "snp", simulated: false, verifiedAt: NOW_MS },
          );
          const { snp, report } = evidence;
          assert.equal(report.version, version);
          assert.equal(snp.product, product);
          assert.equal(snp.signingKey, kind);
          assert.deepEqual(snp.chipId, kind === "vcek" ? form.chipId : null);
          assert.equal(snp.cspId, kind === "vcek" ? null : "CN=simulation.invalid");
          for (const tcb of Object.values(snp.tcb)) assert.deepEqual(tcb, form.tcb);
          assert.equal(snp.tcb.current.fmc === null, product !== "Turin");
          assert.equal(snp.revocationChecked, false);
          assert.ok(snp.validUntilMs > NOW_MS);
        }
      });
});

test("the four TCBs are told apart", () => {
  const [currentTcb = 0n, committedTcb = 0n, launchTcb = 0n] = [222, 218, 217].map((microcode) =>
    encodeSnpTcb({ ...milan.tcb, microcode }),
  );
  const wire = wireOf(milan, { currentTcb, committedTcb, launchTcb });
  const { tcb } = verifyForm(milan, wire).evidence.snp;
  assert.deepEqual(
    [tcb.current, tcb.reported, tcb.committed, tcb.launch].map(({ microcode }) => microcode),
    [222, 219, 218, 217],
  );
});

test("AMD's algorithm is followed with keys of its size, and smaller keys are refused", () => {
  const key = rsa4096();
  const form = createSnpForm({
    product: "Genoa",
    kind: "vcek",
    keys: { ark: key, authority: key },
    nowMs: NOW_MS,
  });
  const trust = { ...form.trust, algorithm: RSA_4096_PSS_SHA384 };
  assert.equal(verifyForm({ ...form, trust }, wireOf(form)).evidence.snp.product, "Genoa");
  const larger = { ...form.trust, algorithm: rsaPssSha384(8192) };
  refuses({ ...form, trust: larger }, wireOf(form), { message: /is not signed by the key/ });
});

test("T: simulated Evidence of hardware's form is refused by production", () => {
  for (const product of SNP_PRODUCTS) {
    const form = formOf(product);
    assert.throws(() => verifySnpEvidence(wireOf(form), { nowMs: NOW_MS }), {
      code: "attest.not_verified",
      message: /does not hold a pinned root key/,
    });
  }
});

test("another root with the right names is refused", () => {
  const other = createSnpForm({
    product: "Milan",
    kind: "vcek",
    keys: { ark: newEcKey(), authority: keys.authority },
    nowMs: NOW_MS,
  });
  refuses(milan, wireOf(other), { message: /does not hold a pinned root key/ });
  // The pinned root above an authority that another root signed.
  const mixed = withPart(wireOf(other), "ark", milan.certificates.ark);
  refuses(milan, mixed, { message: /is not signed by the key of "ARK-Milan/ });
});

test("a root pinned for another product is refused", () => {
  const { Milan: digest } = milan.trust.arkKeySha256;
  const arkKeySha256 = { Milan: "none", Genoa: digest, Turin: "none" };
  refuses({ ...milan, trust: { ...milan.trust, arkKeySha256 } }, wireOf(milan), {
    message: /expected a certificate named "ARK-Genoa/,
  });
});

test("certificates of a wrong name are refused, and production knows no simulation's names", () => {
  refuses({ ...milan, trust: { ...milan.trust, nameSuffix: "" } }, wireOf(milan), {
    message: /expected a certificate named "ARK-Milan", got "ARK-Milan PPML SIMULATION/,
  });
});

test("certificates in a wrong order are refused", () => {
  const wire = wireOf(milan);
  const { ark, authority, key } = milan.certificates;
  const order = { message: /was not issued by|is not a certificate authority/ };
  refuses(milan, withPart(withPart(wire, "ask", key), "vcek", authority), order);
  refuses(milan, withPart(wire, "ask", ark), { message: /was not issued by|allows|named/ });
  refuses(milan, withPart(wire, "vcek", authority), order);
  refuses(milan, withPart(wire, "ark", authority), { message: /pinned root key/ });
});

test("certificates out of their validity are refused", () => {
  refuses(milan, wireOf(milan), { nowMs: NOW_MS + 8 * YEAR_MS, message: /is valid from/ });
  refuses(milan, wireOf(milan), { nowMs: NOW_MS - YEAR_MS, message: /is valid from/ });
  refuses(milan, wireOf(milan), { nowMs: Number.NaN, message: /not at NaN/ });
  for (const expired of ["ark", "authority", "key"] as const) {
    const form = formOf("Milan", "vcek", (role, request) =>
      role === expired ? { ...request, notAfterMs: NOW_MS - 1000 } : request,
    );
    refuses(form, wireOf(form), { message: /is valid from/ });
  }
});

describe("a chain with wrong usages is refused", () => {
  const chip = { productName: "Milan-B0", hwId: milan.chipId, tcb: milan.tcb };
  const usage = extension("2.5.29.15", { critical: true, value: Uint8Array.of(3, 2, 2, 0x84) });
  const unknown = extension("1.2.3.4", { critical: true, value: Uint8Array.of(5, 0) });
  const cases: readonly (readonly [string, "ark" | "authority" | "key", Uint8Array[], RegExp])[] = [
    ["an ASK that is no authority", "authority", [], /is not a certificate authority/],
    ["an ARK that allows no ASK", "ark", authorityExtensions(0), /allows 0 authorities/],
    [
      "an ASK without keyCertSign",
      "authority",
      authorityExtensions(0).slice(0, 1),
      /no key usage keyCertSign/,
    ],
    [
      "a VCEK that signs certificates",
      "key",
      [...vcekExtensions(chip).slice(1), usage],
      /other than digitalSignature/,
    ],
    [
      "a VCEK that is an authority",
      "key",
      [...vcekExtensions(chip), ...authorityExtensions(0).slice(0, 1)],
      /is a certificate authority/,
    ],
    [
      "an unknown critical extension",
      "key",
      [...vcekExtensions(chip), unknown],
      /critical extension 1\.2\.3\.4/,
    ],
  ];
  for (const [what, where, extensions, message] of cases)
    test(what, () => {
      const form = formOf("Milan", "vcek", (role, request) =>
        role === where ? { ...request, extensions } : request,
      );
      refuses(form, wireOf(form), { message });
    });
});

describe("AMD's CRL", () => {
  const serial = Uint8Array.of(0x51, 2, 3);
  const form = formOf("Milan", "vcek", (role, request) =>
    role === "authority" ? { ...request, serial } : request,
  );
  const crlOf = (changes: Partial<Parameters<typeof issueCrl>[0]> = {}): Uint8Array =>
    issueCrl({
      issuer: form.names.ark,
      issuerKey: keys.ark,
      thisUpdateMs: NOW_MS - 1000,
      nextUpdateMs: NOW_MS + 86_400_000,
      serials: [Uint8Array.of(0x51, 2, 4)],
      ...changes,
    });
  const withCrl = (crl: Uint8Array): WireEvidence => withPart(wireOf(form), "crl", crl);

  test("is looked at where it is given", () => {
    for (const crl of [crlOf(), crlOf({ serials: [] })]) {
      const { snp } = verifyForm(form, withCrl(crl)).evidence;
      assert.equal(snp.revocationChecked, true);
      assert.equal(snp.validUntilMs, NOW_MS + 86_400_000);
    }
  });
  test("refuses a revoked ASK", () => {
    const crl = crlOf({ serials: [Uint8Array.of(9), serial] });
    refuses(form, withCrl(crl), { code: "attest.revoked", message: /was revoked/ });
  });
  test("is refused out of its time", () => {
    const old = crlOf({ nextUpdateMs: NOW_MS - 1 });
    refuses(form, withCrl(old), { code: "attest.collateral", message: /due for an update/ });
    const early = crlOf({ thisUpdateMs: NOW_MS + 2000, nextUpdateMs: NOW_MS + YEAR_MS });
    refuses(form, withCrl(early), { code: "attest.collateral", message: /not good at/ });
  });
  test("is refused by another issuer or key", () => {
    refuses(form, withCrl(crlOf({ issuer: "ARK-Genoa" })), {
      code: "attest.collateral",
      message: /AMD's CRL is of another issuer/,
    });
    refuses(form, withCrl(crlOf({ issuerKey: newEcKey() })), {
      message: /not signed by its issuer/,
    });
  });
  test("is refused where it does not parse", () => {
    refuses(form, withCrl(utf8("no CRL")), { code: "attest.invalid", message: /DER/ });
  });
});

test("a VCEK of another chip or another TCB is refused", () => {
  const other = formOf();
  const foreign = wireOf({ ...milan, certificates: other.certificates, trust: other.trust });
  refuses(other, foreign, { message: /of another chip/ });
  for (const part of ["bootloader", "tee", "snp", "microcode"] as const) {
    const reportedTcb = encodeSnpTcb({ ...milan.tcb, [part]: 200 });
    refuses(milan, wireOf(milan, { reportedTcb }), {
      message: new RegExp(`is for ${part} SVN .*, the report says 200`),
    });
  }
  const turin = formOf("Turin");
  const reportedTcb = encodeSnpTcb({ ...turin.tcb, fmc: 9 });
  refuses(turin, wireOf(turin, { reportedTcb }), { message: /is for fmc SVN 1/ });
});

test("a report that hides its chip's id matches no VCEK, and says so", () => {
  refuses(milan, wireOf(milan, { chipId: new Uint8Array(64) }), { message: /hides its chip's id/ });
});

test("a Turin report whose chip id goes on after the VCEK's 8 bytes is refused", () => {
  const turin = formOf("Turin");
  const chipId = Uint8Array.from(turin.chipId);
  chipId[63] = 1;
  refuses(turin, wireOf(turin, { chipId }), { message: /of another chip/ });
});

test("a report of another product than its key's is refused", () => {
  const cpuid = { famId: 0x19, modId: 0x11, step: 0 };
  refuses(milan, wireOf(milan, { cpuid }), { message: /report is of Genoa, .* of Milan/ });
  const unknown = { famId: 0x19, modId: 0x70, step: 0 };
  refuses(milan, wireOf(milan, { cpuid: unknown }), {
    code: "attest.unsupported",
    message: /CPUID family 0x19, model 0x70/,
  });
});

test("a key certified for another product than its root's is refused", () => {
  const form = formOf("Milan", "vcek", (role, request) =>
    role === "key"
      ? {
          ...request,
          extensions: vcekExtensions({
            productName: "Genoa",
            hwId: milan.chipId,
            tcb: milan.tcb,
          }),
        }
      : request,
  );
  refuses(form, wireOf(form), { message: /is for Genoa, its root is Milan's/ });
});

test("a VLEK in a VCEK's place, and a VCEK in a VLEK's, are refused", () => {
  const vlek = formOf("Milan", "vlek");
  refuses(vlek, wireOf(vlek, { signingKey: "vcek" }), {
    code: "attest.collateral",
    message: /expected the collateral ark, ask and vcek .* got ark, asvk, vlek/,
  });
  const renamed = { ...wireOf(vlek, { signingKey: "vcek" }) };
  const { ark = "", asvk = "", vlek: key = "" } = renamed.collateral;
  refuses(
    vlek,
    { ...renamed, collateral: { ark, ask: asvk, vcek: key } },
    { message: /expected a certificate named "SEV-Milan/ },
  );
  refuses(milan, wireOf(milan, { signingKey: "vlek" }), {
    code: "attest.collateral",
    message: /expected the collateral ark, asvk and vlek .* the host has in its extended report/,
  });
  // An ASK's certificate for a VLEK's name, and a VLEK's extensions in a VCEK.
  const wrong = formOf("Milan", "vcek", (role, request) =>
    role === "key"
      ? {
          ...request,
          extensions: vlekExtensions({ productName: "Milan", cspId: "CN=x", tcb: milan.tcb }),
        }
      : request,
  );
  refuses(wrong, wireOf(wrong), { code: "attest.invalid", message: /names no cloud provider/ });
});

test("a certificate without one of AMD's extensions is refused", () => {
  for (const kind of KINDS)
    for (const index of [2, 3, 4, 5, 6, 7]) {
      const form = formOf("Milan", kind, (role, request) =>
        role === "key"
          ? { ...request, extensions: request.extensions.toSpliced(index, 1) }
          : request,
      );
      refuses(form, wireOf(form), {
        code: "attest.invalid",
        message: /has no extension 1\.3\.6\.1\.4\.1\.3704/,
      });
    }
});

test("a report that is signed but of a wrong kind is refused", () => {
  refuses(milan, wireOf(milan, { signingKey: "none" }), {
    code: "attest.not_verified",
    message: /got no key/,
  });
  refuses(milan, wireOf(milan, { maskChipKey: true }), { message: /got a masked key/ });
  refuses(milan, wireOf(milan, { vmpl: 0xffffffff }), { message: /VMPL 4294967295/ });
  refuses(milan, wireOf(milan, { signatureAlgo: 2 }), { message: /SIGNATURE_ALGO 1/ });
});

test("a report signed by another key is refused", () => {
  const foreign = { ...milan, signingKey: newEcKey() };
  refuses(milan, wireOf(foreign), { message: /not signed by the key in its certificate/ });
  refuses(milan, wireOf({ ...milan, signingKey: newEcKey() }, { reportData: new Uint8Array(64) }), {
    message: /not signed/,
  });
});

test("a host's table is taken as it comes: both kinds of keys, an ASVK as ask, PEM", () => {
  const vlek = formOf("Milan", "vlek");
  const { ark = "", asvk = "", vlek: key = "" } = wireOf(vlek).collateral;
  const table = { ...wireOf(vlek), collateral: { ark, ask: asvk, vlek: key, vcek: key } };
  assert.equal(verifyForm(vlek, table).evidence.snp.signingKey, "vlek");
  const body =
    Buffer.from(milan.certificates.key)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  const pem = utf8(`-----BEGIN CERTIFICATE-----\n${body.join("\n")}\n-----END CERTIFICATE-----\n`);
  assert.equal(verifyForm(milan, withPart(wireOf(milan), "vcek", pem)).simulated, false);
  const twice = withPart(wireOf(milan), "vcek", Buffer.concat([pem, pem]));
  refuses(milan, twice, { code: "attest.invalid", message: /expected one certificate/ });
});

test("other wire types, missing, unknown and badly encoded parts are refused", () => {
  const wire = wireOf(milan);
  refuses(milan, { ...wire, type: "sim-snp" }, { code: "attest.unsupported", message: /sim-snp/ });
  const missing = {
    code: "attest.collateral",
    message: /expected the collateral ark, ask and vcek/,
  };
  refuses(milan, { ...wire, collateral: {} }, missing);
  for (const part of ["ark", "ask", "vcek"]) {
    const collateral = { ...wire.collateral };
    delete collateral[part];
    refuses(milan, { ...wire, collateral }, missing);
  }
  refuses(milan, withPart(wire, "other", new Uint8Array(1)), {
    code: "attest.invalid",
    message: /expected the collateral .* as far as there are/,
  });
  refuses(
    milan,
    { ...wire, evidence: `${wire.evidence}=` },
    { code: "attest.invalid", message: /base64url in evidence/ },
  );
  refuses(
    milan,
    { ...wire, collateral: { ...wire.collateral, ask: `${toBase64Url(milan.certificates.ark)}=` } },
    { code: "attest.invalid", message: /base64url in ask/ },
  );
});
