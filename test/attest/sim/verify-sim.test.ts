import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import { toBase64Url } from "../../../src/base/index.ts";
import { vcekExtensions } from "../../../src/attest/sim/chip-key-extensions.ts";
import { authorityExtensions, extension } from "../../../src/attest/x509/issue-certificate.ts";
import { createSimulationPki } from "../../../src/attest/sim/pki.ts";
import { simulatedPlatformOf } from "../../../src/attest/sim/platform.ts";
import { verifySimulatedEvidence } from "../../../src/attest/sim/verify-sim.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import {
  makeChain,
  measurement,
  NOW_MS,
  pki,
  reportData,
  signedWire,
  wire,
  YEAR_MS,
} from "../fixture.ts";

const verify = (evidence: WireEvidence, root = pki.ark, nowMs = NOW_MS) =>
  verifySimulatedEvidence(evidence, { simulationRoot: root, nowMs });

const refuses = (
  evidence: WireEvidence,
  expected: { message: RegExp; root?: Uint8Array; nowMs?: number; code?: string },
) =>
  assert.throws(() => verify(evidence, expected.root ?? pki.ark, expected.nowMs ?? NOW_MS), {
    name: "PpmlError",
    code: expected.code ?? "attest.not_verified",
    message: expected.message,
  });

test("good simulated Evidence verifies and is marked simulated", () => {
  const verified = verify(wire);
  assert.equal(verified.simulated, true);
  assert.equal(verified.profile, "sim");
  assert.equal(verified.verifiedAt, NOW_MS);
  assert.deepEqual(verified.evidence.report.measurement, measurement);
  assert.deepEqual(verified.evidence.report.reportData, reportData);
  assert.deepEqual(verified.evidence.report.chipId, pki.chip.hwId);
});

test("another simulation's root with the right name is refused", () => {
  const other = createSimulationPki({ nowMs: NOW_MS });
  refuses(wire, { root: other.ark, message: /"ASK .*" is not signed by the key of "ARK / });
});

test("a chain whose own root is not the pinned one is refused", () => {
  const own = makeChain((_role, request) => request);
  assert.equal(verify(own.wire, own.root).simulated, true, "control: the chain itself is good");
  refuses(own.wire, { message: /is not signed by the key of/ });
});

test("certificates out of their validity are refused", () => {
  refuses(wire, {
    nowMs: NOW_MS + 8 * YEAR_MS,
    message: /"VCEK .*" is valid from .*, not at 2034/,
  });
  refuses(wire, { nowMs: NOW_MS - YEAR_MS, message: /"ARK .*" is valid from/ });
  refuses(wire, { nowMs: Number.NaN, message: /not at NaN/ });
  const own = makeChain((role, request) =>
    role === "ask" ? { ...request, notAfterMs: NOW_MS - 1000 } : request,
  );
  refuses(own.wire, { root: own.root, message: /"ASK .*" is valid from/ });
});

test("ASK and VCEK swapped, or one in both places, are refused", () => {
  const { ask = "", vcek = "" } = wire.collateral;
  const order = /was not issued by|is not a certificate authority/;
  refuses({ ...wire, collateral: { ask: vcek, vcek: ask } }, { message: order });
  refuses({ ...wire, collateral: { ask, vcek: ask } }, { message: order });
  refuses({ ...wire, collateral: { ask: vcek, vcek } }, { message: order });
});

describe("a chain with wrong extensions is refused", () => {
  const cases: readonly (readonly [string, "ark" | "ask" | "vcek", Uint8Array[], RegExp])[] = [
    ["an ASK without extensions of an authority", "ask", [], /is not a certificate authority/],
    [
      "an ARK that allows no authority below it",
      "ark",
      authorityExtensions(0),
      /allows 0 authorities/,
    ],
    [
      "an ASK without keyCertSign",
      "ask",
      authorityExtensions(0).slice(0, 1),
      /no key usage keyCertSign/,
    ],
    [
      "a VCEK whose key usage signs certificates",
      "vcek",
      [
        ...vcekExtensions(pki.chip).slice(1),
        extension("2.5.29.15", { critical: true, value: Uint8Array.of(3, 2, 2, 0x84) }),
      ],
      /key usage other than digitalSignature/,
    ],
    [
      "a VCEK that is an authority",
      "vcek",
      [...vcekExtensions(pki.chip), ...authorityExtensions(0).slice(0, 1)],
      /is a certificate authority/,
    ],
    [
      "an unknown critical extension",
      "vcek",
      [
        ...vcekExtensions(pki.chip),
        extension("1.2.3.4", { critical: true, value: Uint8Array.of(5, 0) }),
      ],
      /critical extension 1\.2\.3\.4/,
    ],
  ];
  for (const [what, where, extensions, message] of cases)
    test(what, () => {
      const own = makeChain((role, request) =>
        role === where ? { ...request, extensions } : request,
      );
      refuses(own.wire, { root: own.root, message });
    });
});

test("a chain on another curve is refused", () => {
  const p521 = generateKeyPairSync("ec", { namedCurve: "P-521" }).privateKey;
  const own = makeChain((role, request) =>
    role === "ark" ? { ...request, subjectKey: p521, issuerKey: p521 } : request,
  );
  refuses(own.wire, { root: own.root, message: /is not signed by the key/ });
});

test("certificates without the simulation's mark in their names are refused", () => {
  const own = makeChain((_role, request) => ({
    ...request,
    subject: request.subject.replace(/ PPML.*/, "-Genoa"),
    issuer: request.issuer.replace(/ PPML.*/, "-Genoa"),
  }));
  refuses(own.wire, { root: own.root, message: /"ARK-Genoa" is not one of a simulation/ });
});

test("a VCEK of another chip or another TCB is refused", () => {
  const chip = makeChain((role, request) =>
    role === "vcek"
      ? { ...request, extensions: vcekExtensions({ ...pki.chip, hwId: new Uint8Array(64) }) }
      : request,
  );
  refuses(chip.wire, { root: chip.root, message: /of another chip/ });
  for (const part of ["bootloader", "tee", "snp", "microcode"] as const) {
    const tcb = { ...pki.chip.tcb, [part]: 200 };
    const other = makeChain((role, request) =>
      role === "vcek" ? { ...request, extensions: vcekExtensions({ ...pki.chip, tcb }) } : request,
    );
    refuses(other.wire, { root: other.root, message: new RegExp(`is for ${part} SVN 200`) });
  }
});

test("a VCEK without one of AMD's extensions is refused", () => {
  for (const index of [2, 3, 4, 5, 6, 7]) {
    const own = makeChain((role, request) =>
      role === "vcek"
        ? { ...request, extensions: request.extensions.toSpliced(index, 1) }
        : request,
    );
    refuses(own.wire, {
      root: own.root,
      code: "attest.invalid",
      message: /has no extension 1\.3\.6\.1\.4\.1\.3704/,
    });
  }
});

test("a report signed by the chip but of a wrong kind is refused", () => {
  assert.equal(verify(signedWire({})).simulated, true, "control");
  refuses(signedWire({ signingKey: "vlek" }), { message: /signed by the VCEK, got vlek/ });
  refuses(signedWire({ signingKey: "none" }), { message: /got none/ });
  refuses(signedWire({ maskChipKey: true }), { message: /got a masked key/ });
  refuses(signedWire({ vmpl: 0xffffffff }), { message: /VMPL 4294967295/ });
  refuses(signedWire({ signatureAlgo: 2 }), { message: /SIGNATURE_ALGO 1/ });
});

test("a report signed by another chip's key is refused", () => {
  const other = createSimulationPki({ nowMs: NOW_MS });
  const foreign = simulatedPlatformOf({ ...pki, vcekKey: other.vcekKey });
  refuses(foreign.attest({ measurement, reportData }), { message: /not signed by the key/ });
});

test("other wire types, missing, unknown and badly encoded parts are refused", () => {
  refuses({ ...wire, type: "snp" }, { code: "attest.unsupported", message: /got snp/ });
  const { ask = "", vcek = "" } = wire.collateral;
  const invalid = { code: "attest.invalid", message: /expected the collateral ask and vcek/ };
  refuses({ ...wire, collateral: {} }, invalid);
  refuses({ ...wire, collateral: { ask } }, invalid);
  refuses({ ...wire, collateral: { ask, vcek, ark: toBase64Url(pki.ark) } }, invalid);
  refuses(
    { ...wire, evidence: `${wire.evidence}=` },
    { code: "attest.invalid", message: /base64url in evidence/ },
  );
});
