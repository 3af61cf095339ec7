import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { valuesOf } from "../../../src/attest/appraise/claims-of.ts";
import { maaTeeOf } from "../../../src/attest/appraise/tee-of.ts";
import { derInteger } from "../../../src/attest/der/write.ts";
import { encodeSnpTcb, SNP_PRODUCTS } from "../../../src/attest/evidence/snp-fields.ts";
import { VCEK_OID } from "../../../src/attest/evidence/vcek-extensions.ts";
import { vcekExtensions } from "../../../src/attest/sim/chip-key-extensions.ts";
import { snpFormReport, snpFormWire } from "../../../src/attest/sim/snp-form.ts";
import type { SnpForm } from "../../../src/attest/sim/snp-form.ts";
import { extension } from "../../../src/attest/x509/issue-certificate.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import { formOf, milan, verifyForm, wireOf } from "../snp-forms.ts";

// docs/attestation.md, "Against other implementations": what is decided otherwise than by others, and why.

const KINDS = ["vcek", "vlek"] as const;

const refuses = (form: SnpForm, wire: WireEvidence, expected: { message: RegExp; code?: string }) =>
  assert.throws(() => verifyForm(form, wire), {
    name: "PpmlError",
    code: expected.code ?? "attest.not_verified",
    message: expected.message,
  });

/** A chip's form whose key's certificate has these extensions. */
const withExtensions = (extensions: readonly Uint8Array[]): SnpForm =>
  formOf("Milan", "vcek", (role, request) =>
    role === "key" ? { ...request, extensions: [...extensions] } : request,
  );

describe("claims have the TCB in its product's layout, which a report of version 2 does not tell", () => {
  for (const product of SNP_PRODUCTS)
    for (const kind of KINDS)
      test(`${product}, ${kind}`, () => {
        const form = formOf(product, kind);
        const { bootloader, tee, snp, microcode } = form.tcb;
        for (const version of [2, 5] as const) {
          const { evidence } = verifyForm(form, snpFormWire(form, snpFormReport(form, version)));
          const values = valuesOf(evidence);
          assert.deepEqual(
            ["bootloader", "tee", "snp", "microcode"].map((part) => values[`reportedTcb.${part}`]),
            [bootloader, tee, snp, microcode],
          );
          const described = maaTeeOf(evidence);
          assert.ok(described.attestationType === "sevsnpvm");
          assert.deepEqual(described.tcb, { bootloader, tee, snp, microcode });
        }
      });
});

test("a report that nobody signed, or that its host asked for, is refused for that, whatever comes along", () => {
  for (const collateral of [wireOf(milan).collateral, {}])
    for (const [changes, message] of [
      [{ signingKey: "none" }, /got no key/],
      [{ maskChipKey: true }, /got a masked key/],
      [{ vmpl: 0xffffffff }, /VMPL 4294967295/],
    ] as const)
      refuses(milan, { ...wireOf(milan, changes), collateral }, { message });
});

test("a report whose MASK_CHIP_KEY is set is refused even where a key signed it", () => {
  // AMD 56860 section 7.3: the firmware "writes zeroes into the SIGNATURE field".
  for (const kind of KINDS) {
    const form = formOf("Milan", kind);
    refuses(form, wireOf(form, { maskChipKey: true }), { message: /a masked key/ });
  }
});

test("reserved bytes of all four TCB versions are refused, not the reported one's alone", () => {
  const reserved = encodeSnpTcb(milan.tcb) | (1n << 24n);
  for (const field of ["reportedTcb", "currentTcb", "committedTcb", "launchTcb"] as const)
    refuses(milan, wireOf(milan, { [field]: reserved }), {
      code: "attest.invalid",
      message: /byte 3 of the TCB version/,
    });
});

test("bits of PLATFORM_INFO that are not known do not hinder: firmware adds them within a version", () => {
  for (const platformInfo of [1n << 6n, 1n << 8n, 1n << 63n])
    assert.equal(
      verifyForm(milan, wireOf(milan, { platformInfo })).evidence.report.platformInfo,
      platformInfo,
    );
});

test("every model of a product's range is that product's, Bergamo and Siena Genoa's", () => {
  for (const [product, famId, models] of [
    ["Milan", 0x19, [0x00, 0x01, 0x0f]],
    ["Genoa", 0x19, [0x10, 0x11, 0x1f, 0xa0, 0xa1, 0xaf]],
    ["Turin", 0x1a, [0x00, 0x02, 0x11, 0x1f]],
  ] as const) {
    const form = formOf(product);
    for (const modId of models)
      assert.equal(
        verifyForm(form, wireOf(form, { cpuid: { famId, modId, step: 0 } })).evidence.snp.product,
        product,
      );
  }
});

test("SVNs over 127 verify: their INTEGER has a leading zero", () => {
  const tcb = { ...milan.tcb, bootloader: 128, tee: 255, snp: 200, microcode: 219 };
  const form = withExtensions(vcekExtensions({ productName: "Milan-B0", hwId: milan.chipId, tcb }));
  const wire = wireOf(form, { chipId: milan.chipId, reportedTcb: encodeSnpTcb(tcb) });
  assert.deepEqual(verifyForm(form, wire).evidence.snp.tcb.reported, tcb);
});

test("of AMD's extensions those that decide nothing are not read: structVersion, spares, new ones", () => {
  const [usage = new Uint8Array(), , ...rest] = vcekExtensions({
    productName: "Milan-B0",
    hwId: milan.chipId,
    tcb: milan.tcb,
  });
  const added = [4, 5, 6, 7, 10].map((part) =>
    extension(`1.3.6.1.4.1.3704.1.3.${part}`, {
      critical: false,
      value: derInteger(Uint8Array.of(9)),
    }),
  );
  assert.equal(VCEK_OID.structVersion, "1.3.6.1.4.1.3704.1.1");
  const form = withExtensions([usage, ...rest, ...added]);
  const { snp } = verifyForm(form, wireOf(form, { chipId: milan.chipId })).evidence;
  assert.deepEqual(snp.tcb.reported, milan.tcb);
});
