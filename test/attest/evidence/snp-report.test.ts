import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isPpmlError } from "../../../src/base/index.ts";
import {
  encodeSnpTcb,
  parseSnpGuestPolicy,
  parseSnpTcb,
  parseSnpTcbOf,
  snpPlatformInfoBits,
  snpPolicyBits,
  snpProductOfCpuid,
  snpProductOfName,
} from "../../../src/attest/evidence/snp-fields.ts";
import { encodeSnpReport, parseSnpReport } from "../../../src/attest/evidence/snp-report.ts";
import type { SnpReport } from "../../../src/attest/evidence/snp-report.ts";
import { partOf } from "../fixture.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u8 = fc.integer({ min: 0, max: 255 });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const plain = { noNullPrototype: true } as const;
/** Bits 0 to 25 of a POLICY, bit 17 of which is one. */
const policy = fc.nat(2 ** 26 - 1).map((bits) => BigInt(bits | (1 << 17)));
const firmware = fc.record({ build: u8, minor: u8, major: u8 }, plain);

const reportArbitrary: fc.Arbitrary<SnpReport> = fc
  .constantFrom(2 as const, 3 as const, 4 as const, 5 as const)
  .chain((version) =>
    fc.record(
      {
        version: fc.constant(version),
        guestSvn: u32,
        policy,
        familyId: bytes(16),
        imageId: bytes(16),
        vmpl: u32,
        signatureAlgo: u32,
        currentTcb: u64,
        platformInfo: u64,
        signingKey: fc.constantFrom("vcek" as const, "vlek" as const, "none" as const),
        maskChipKey: fc.boolean(),
        authorKeyEn: fc.boolean(),
        reportData: bytes(64),
        measurement: bytes(48),
        hostData: bytes(32),
        idKeyDigest: bytes(48),
        authorKeyDigest: bytes(48),
        reportId: bytes(32),
        reportIdMa: bytes(32),
        reportedTcb: u64,
        cpuid:
          version === 2 ? fc.constant(null) : fc.record({ famId: u8, modId: u8, step: u8 }, plain),
        chipId: bytes(64),
        committedTcb: u64,
        currentVersion: firmware,
        committedVersion: firmware,
        launchTcb: u64,
        mitVectors:
          version === 5 ? fc.record({ launch: u64, current: u64 }, plain) : fc.constant(null),
        signature: fc.record({ r: bytes(48), s: bytes(48) }, plain),
      },
      plain,
    ),
  );

test("any report survives encoding and parsing", () => {
  fc.assert(
    fc.property(reportArbitrary, (report) => {
      const encoded = encodeSnpReport(report);
      assert.equal(encoded.byteLength, 1184);
      assert.deepEqual(parseSnpReport(encoded), report);
    }),
    { numRuns: 300 },
  );
});

test("any 1184 bytes that parse encode to the same bytes; all others are refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(1183), (noise, at) => {
      const changed = Uint8Array.from(partOf("evidence"));
      changed.set(noise.subarray(0, changed.byteLength - at), at);
      let report: SnpReport;
      try {
        report = parseSnpReport(changed);
      } catch (error) {
        assert.ok(isPpmlError(error, "attest.invalid") || isPpmlError(error, "attest.unsupported"));
        return;
      }
      assert.deepEqual(encodeSnpReport(report), changed);
    }),
    { numRuns: 1000 },
  );
});

test("the fields lie at AMD's offsets", () => {
  // Offsets of AMD 56860 table 23, each filled with a mark of its own.
  const report = new Uint8Array(1184);
  const view = new DataView(report.buffer);
  view.setUint32(0x00, 5, true);
  view.setUint32(0x04, 0x04, true);
  view.setBigUint64(0x08, 0x2_0008n, true);
  view.setUint32(0x30, 3, true);
  view.setUint32(0x34, 1, true);
  view.setBigUint64(0x38, 0x38n, true);
  view.setBigUint64(0x40, 0x40n, true);
  view.setUint32(0x48, 0b00111, true);
  const arrays = { familyId: 0x10, imageId: 0x20, reportData: 0x50, measurement: 0x90 } as const;
  const more = { hostData: 0xc0, idKeyDigest: 0xe0, authorKeyDigest: 0x110 } as const;
  const rest = { reportId: 0x140, reportIdMa: 0x160, chipId: 0x1a0 } as const;
  const offsets = { ...arrays, ...more, ...rest };
  for (const offset of Object.values(offsets)) report[offset] = offset % 251;
  view.setBigUint64(0x180, 0x180n, true);
  report.set([0x19, 0x11, 2], 0x188);
  view.setBigUint64(0x1e0, 0x1e0n, true);
  report.set([1, 2, 3, 0, 4, 5, 6], 0x1e8);
  view.setBigUint64(0x1f0, 0x1f0n, true);
  view.setBigUint64(0x1f8, 0x1f8n, true);
  view.setBigUint64(0x200, 0x200n, true);
  report[0x2a0] = 0xaa;
  report[0x2e8] = 0xbb;
  const parsed = parseSnpReport(report);
  for (const [name, offset] of Object.entries(offsets))
    assert.equal(parsed[name as keyof typeof offsets][0], offset % 251, name);
  assert.equal(parsed.guestSvn, 4);
  assert.equal(parsed.policy, 0x2_0008n);
  assert.deepEqual([parsed.vmpl, parsed.signatureAlgo], [3, 1]);
  assert.deepEqual([parsed.currentTcb, parsed.platformInfo], [0x38n, 0x40n]);
  assert.deepEqual(
    [parsed.authorKeyEn, parsed.maskChipKey, parsed.signingKey],
    [true, true, "vlek"],
  );
  assert.deepEqual(
    [parsed.reportedTcb, parsed.committedTcb, parsed.launchTcb],
    [0x180n, 0x1e0n, 0x1f0n],
  );
  assert.deepEqual(parsed.cpuid, { famId: 0x19, modId: 0x11, step: 2 });
  assert.deepEqual(parsed.currentVersion, { build: 1, minor: 2, major: 3 });
  assert.deepEqual(parsed.committedVersion, { build: 4, minor: 5, major: 6 });
  assert.deepEqual(parsed.mitVectors, { launch: 0x1f8n, current: 0x200n });
  // Least significant byte first in the report, most significant first here.
  assert.deepEqual([parsed.signature.r.at(-1), parsed.signature.s.at(-1)], [0xaa, 0xbb]);
});

test("every other length and version is refused", () => {
  const good = partOf("evidence");
  for (let length = 0; length < 1300; length += 1)
    if (length !== 1184)
      assert.throws(() => parseSnpReport(new Uint8Array(length)), { code: "attest.invalid" });
  for (const version of [0, 1, 6, 0xffffffff]) {
    const other = Uint8Array.from(good);
    new DataView(other.buffer).setUint32(0, version, true);
    assert.throws(() => parseSnpReport(other), { code: "attest.unsupported" });
  }
});

test("a report of version 4, which hosts gave between 3 and 5, has the layout of 3", () => {
  const third = partOf("evidence");
  const fourth = Uint8Array.from(third);
  new DataView(fourth.buffer).setUint32(0, 4, true);
  assert.deepEqual(parseSnpReport(fourth), { ...parseSnpReport(third), version: 4 });
  fourth[0x1f8] = 1;
  assert.throws(() => parseSnpReport(fourth), { code: "attest.invalid", message: /0x1f8/ });
});

function withPolicy(bits: bigint): Uint8Array {
  const report = Uint8Array.from(partOf("evidence"));
  new DataView(report.buffer).setBigUint64(8, bits, true);
  return report;
}

test("bits of POLICY that AMD reserves are refused: an unknown one could let the host in", () => {
  for (let bit = 0n; bit < 26n; bit += 1n)
    assert.equal(
      parseSnpReport(withPolicy(0x2_0000n | (1n << bit))).policy,
      0x2_0000n | (1n << bit),
    );
  const refused = { code: "attest.invalid", message: /POLICY bit 17 as one and bits 26 to 63/ };
  for (let bit = 26n; bit < 64n; bit += 1n)
    assert.throws(() => parseSnpReport(withPolicy(0x2_0000n | (1n << bit))), refused);
  assert.throws(() => parseSnpReport(withPolicy(0x1_0000n)), refused);
});

test("a report is parsed from a view with an offset, too", () => {
  const good = partOf("evidence");
  const shifted = new Uint8Array(good.byteLength + 3);
  shifted.set(good, 3);
  assert.deepEqual(parseSnpReport(shifted.subarray(3)), parseSnpReport(good));
});

test("a TCB version is read in the layout of its product", () => {
  const milan = 0xdb18_0000_0000_0004n;
  assert.deepEqual(parseSnpTcb(milan, { cpuid: null }), {
    bootloader: 4,
    tee: 0,
    snp: 0x18,
    microcode: 0xdb,
    fmc: null,
  });
  const turin = { cpuid: { famId: 0x1a, modId: 2, step: 0 } };
  assert.deepEqual(parseSnpTcb(0x5000_0000_0403_0201n, turin), {
    fmc: 1,
    bootloader: 2,
    tee: 3,
    snp: 4,
    microcode: 0x50,
  });
  assert.equal(encodeSnpTcb(parseSnpTcb(milan, { cpuid: null })), milan);
  assert.equal(encodeSnpTcb(parseSnpTcb(0x5000_0000_0403_0201n, turin)), 0x5000_0000_0403_0201n);
  assert.throws(() => parseSnpTcb(0x0100_00n, { cpuid: null }), { code: "attest.invalid" });
});

test("a guest policy is read bit by bit", () => {
  const none = { smt: false, migrateMa: false, debug: false, singleSocket: false };
  assert.deepEqual(parseSnpGuestPolicy(0x2_0137n), { ...none, abiMajor: 1, abiMinor: 0x37 });
  const zero = { ...none, abiMajor: 0, abiMinor: 0 };
  assert.deepEqual(parseSnpGuestPolicy(1n << 16n), { ...zero, smt: true });
  assert.deepEqual(parseSnpGuestPolicy(1n << 18n), { ...zero, migrateMa: true });
  assert.deepEqual(parseSnpGuestPolicy(1n << 19n), { ...zero, debug: true });
  assert.deepEqual(parseSnpGuestPolicy(1n << 20n), { ...zero, singleSocket: true });
});

test("bits that are set have AMD's names, and those without one their number", () => {
  assert.deepEqual(snpPolicyBits(0x3_ffffn), ["SMT"]);
  assert.deepEqual(snpPolicyBits(0x2_0137n), []);
  assert.deepEqual(snpPolicyBits(0x3ff_0000n), [
    "SMT",
    "MIGRATE_MA",
    "DEBUG",
    "SINGLE_SOCKET",
    "CXL_ALLOW",
    "MEM_AES_256_XTS",
    "RAPL_DIS",
    "CIPHERTEXT_HIDING_DRAM",
    "PAGE_SWAP_DISABLE",
  ]);
  assert.deepEqual(snpPlatformInfoBits(0x25n), ["SMT_EN", "ECC_EN", "ALIAS_CHECK_COMPLETE"]);
  assert.deepEqual(snpPlatformInfoBits(0xdan | (1n << 63n)), [
    "TSME_EN",
    "RAPL_DIS",
    "CIPHERTEXT_HIDING_DRAM_EN",
    "bit 6",
    "SEV_TIO_EN",
    "bit 63",
  ]);
  assert.deepEqual(snpPlatformInfoBits(0n), []);
});

function productOf(famId: number, modId: number): string {
  return snpProductOfCpuid({ famId, modId, step: 0 });
}

test("products are told by CPUID and by a certificate's product name", () => {
  assert.deepEqual([productOf(0x19, 0), productOf(0x19, 0x0f)], ["Milan", "Milan"]);
  // Genoa, then Bergamo and Siena, which have its keys.
  assert.deepEqual(
    [productOf(0x19, 0x10), productOf(0x19, 0x1f), productOf(0x19, 0xa0), productOf(0x19, 0xaf)],
    ["Genoa", "Genoa", "Genoa", "Genoa"],
  );
  assert.deepEqual([productOf(0x1a, 0), productOf(0x1a, 0x11)], ["Turin", "Turin"]);
  for (const [famId, modId] of [
    [0x17, 0x31],
    [0x19, 0x20],
    [0x19, 0xb0],
    [0x1a, 0x20],
    [0, 0],
  ] as const)
    assert.throws(() => productOf(famId, modId), { code: "attest.unsupported" });
  assert.deepEqual(["Milan", "Milan-B0", "Genoa-B1", "Turin-C1"].map(snpProductOfName), [
    "Milan",
    "Milan",
    "Genoa",
    "Turin",
  ]);
  for (const name of ["", "milan", "Milano", "Naples-B0", "-Milan"])
    assert.throws(() => snpProductOfName(name), { code: "attest.unsupported" });
});

test("a TCB's reserved bytes have to be zero in its product's layout", () => {
  const refused = { code: "attest.invalid" };
  for (const byte of [2, 3, 4, 5])
    for (const product of ["Milan", "Genoa"] as const)
      assert.throws(() => parseSnpTcbOf(1n << BigInt(8 * byte), product), refused);
  for (const byte of [4, 5, 6])
    assert.throws(() => parseSnpTcbOf(1n << BigInt(8 * byte), "Turin"), refused);
});
