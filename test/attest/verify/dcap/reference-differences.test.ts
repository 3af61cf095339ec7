/**
 * Verdicts that are others than those of dcap-qvl 0.7.1 on purpose, and on which no vector bears: each is
 * listed with its reason in docs/attestation.md, "Against the reference". Its refusals are named beside ours.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { utf8 } from "../../../../src/base/index.ts";
import { der, derInteger, derOid, derSequence, derTime } from "../../../../src/attest/der/write.ts";
import { simTcbLevel } from "../../../../src/attest/sim/dcap-collateral.ts";
import { createSimDcapPki, SIM_PLATFORM } from "../../../../src/attest/sim/dcap-pki.ts";
import type { DcapRole } from "../../../../src/attest/sim/dcap-pki.ts";
import {
  algorithmOf,
  encodeName,
  extension,
  signed,
} from "../../../../src/attest/x509/issue-certificate.ts";
import type { PckPlatform } from "../../../../src/attest/x509/sgx-extension.ts";
import { DAY_MS, KINDS, makeCase, NOW_MS, pki, SEED, verifyCase } from "../../dcap-fixture.ts";
import type { DcapCase } from "../../dcap-fixture.ts";

const statusOf = (options: DcapCase): string => verifyCase(options).verification.tcbStatus;

/** A good case of a platform that is another one than usual. */
function platformCase(
  platform: Partial<PckPlatform>,
  changes: Parameters<typeof makeCase>[1],
): DcapCase {
  return makeCase("sgx v3", {
    ...changes,
    pki: createSimDcapPki({
      seed: SEED,
      nowMs: NOW_MS,
      platform: { ...SIM_PLATFORM, ...platform },
    }),
  });
}

describe("the platform's SVNs", () => {
  test("are the components that the PCK certificate lists, not the bytes of CPUSVN", () => {
    const levels = [
      simTcbLevel(pki, { tee: "sgx", lower: 0, tcbStatus: "UpToDate" }),
      simTcbLevel(pki, { tee: "sgx", lower: 1, tcbStatus: "OutOfDate" }),
    ];
    const collateral = { tcbInfo: { tcbLevels: levels } };
    const tcbComponents = SIM_PLATFORM.tcbComponents.with(3, 1);
    assert.equal(statusOf(platformCase({ tcbComponents }, { collateral })), "OutOfDate");
    const cpuSvn = new Uint8Array(16);
    assert.equal(statusOf(platformCase({ cpuSvn }, { collateral })), "UpToDate");
  });

  test("have a PCESVN of 16 bits, also where its encoding has a third byte for the sign", () => {
    for (const pceSvn of [127, 128, 255, 256, 32_767, 32_768, 65_535]) {
      const options = platformCase({ pceSvn }, {});
      assert.equal(statusOf(options), "UpToDate", `${pceSvn}`);
    }
  });
});

/** A CRL of the root or of the PCK's CA with other entries, extensions or times. */
function crlOf(
  role: "root" | "pckCa",
  change: {
    readonly entries?: readonly Uint8Array[];
    readonly more?: readonly Uint8Array[];
    readonly number?: Uint8Array;
  },
): Uint8Array {
  const { entries = [], more = [], number = extensionOf("2.5.29.20", Uint8Array.of(1)) } = change;
  const key = pki.keys[role];
  const keyId = extension("2.5.29.35", {
    critical: false,
    value: derSequence(der(0x80, new Uint8Array(20))),
  });
  const tbs = derSequence(
    derInteger(Uint8Array.of(1)),
    algorithmOf(key),
    encodeName(pki.names[role]),
    derTime(NOW_MS - DAY_MS),
    derTime(NOW_MS + DAY_MS),
    entries.length === 0 ? new Uint8Array() : derSequence(...entries),
    der(0xa0, derSequence(keyId, number, ...more)),
  );
  return signed(tbs, key);
}

const extensionOf = (oid: string, number: Uint8Array, critical = false) =>
  extension(oid, { critical, value: derInteger(number) });

function withCrl(role: "root" | "pckCa", change: Parameters<typeof crlOf>[1]): DcapCase {
  const good = makeCase("tdx v4");
  const member = role === "root" ? "rootCaCrl" : "pckCrl";
  return { ...good, collateral: { ...good.collateral, [member]: crlOf(role, change) } };
}

const entry = (serial: Uint8Array, ...extensions: readonly Uint8Array[]) =>
  derSequence(
    derInteger(serial),
    derTime(NOW_MS - DAY_MS),
    ...(extensions.length === 0 ? [] : [derSequence(...extensions)]),
  );
const reason = (code: number) =>
  extension("2.5.29.21", { critical: false, value: der(0x0a, Uint8Array.of(code)) });

describe("a CRL", () => {
  test("is good to the second of its next update, as TCB info and QE identity are", () => {
    for (const kind of KINDS) {
      const end = { nextUpdateMs: NOW_MS };
      const dates = { nextUpdate: "2026-11-24T12:00:00Z", issueDate: "2026-11-24T12:00:00Z" };
      const options = makeCase(kind, {
        collateral: { rootCaCrl: end, pckCrl: end, tcbInfo: dates, qeIdentity: dates },
      });
      assert.equal(statusOf(options), "UpToDate");
      assert.throws(() => verifyCase({ ...options, nowMs: NOW_MS + 1 }), {
        code: "attest.collateral",
      });
    }
  });

  test("revokes what it lists for any reason, known or not, and on hold or taken off a list", () => {
    for (const code of [0, 6, 7, 8, 11]) {
      const other = withCrl("pckCa", { entries: [entry(Uint8Array.of(9), reason(code))] });
      assert.equal(statusOf(other), "UpToDate");
      for (const [role, serial] of [
        ["pckCa", pki.serials.pck],
        ["root", pki.serials.pckCa],
        ["root", pki.serials.tcbSigner],
      ] as const)
        assert.throws(() => verifyCase(withCrl(role, { entries: [entry(serial, reason(code))] })), {
          code: "attest.revoked",
        });
    }
  });

  test("has a number of any length, which is not read", () => {
    const number = extensionOf("2.5.29.20", new Uint8Array(21).fill(1));
    assert.equal(statusOf(withCrl("root", { number })), "UpToDate");
  });

  test("has no critical extension, known or not: it could list less than all", () => {
    const point = derSequence(der(0xa0, der(0xa0, der(0x86, utf8("https://example.org/crl")))));
    for (const role of ["root", "pckCa"] as const) {
      for (const more of [
        [extension("2.5.29.28", { critical: true, value: point })],
        [extensionOf("1.2.3.4", Uint8Array.of(1), true)],
      ])
        assert.throws(() => verifyCase(withCrl(role, { more })), {
          code: "attest.invalid",
          message: /CRL: not a valid CRL: it has a critical extension/,
        });
      const number = extensionOf("2.5.29.20", Uint8Array.of(1), true);
      assert.throws(() => verifyCase(withCrl(role, { number })), { code: "attest.invalid" });
    }
  });
});

/** A good case whose certificate of that role has one more extension. */
function withExtension(role: DcapRole, more: Uint8Array): DcapCase {
  return makeCase("tdx v4", {
    pki: createSimDcapPki({
      seed: SEED,
      nowMs: NOW_MS,
      change: (current, request) =>
        current === role ? { ...request, extensions: [...request.extensions, more] } : request,
    }),
  });
}

describe("a certificate", () => {
  const clientAuth = derSequence(derOid("1.3.6.1.5.5.7.3.2"));

  test("of Intel's profile has no extended key usage: one is read only where it is critical", () => {
    for (const role of ["pckCa", "pck", "tcbSigner"] as const) {
      const noted = extension("2.5.29.37", { critical: false, value: clientAuth });
      assert.equal(statusOf(withExtension(role, noted)), "UpToDate");
      const critical = extension("2.5.29.37", { critical: true, value: clientAuth });
      assert.throws(() => verifyCase(withExtension(role, critical)), {
        code: "attest.not_verified",
        message: /critical extension 2\.5\.29\.37/,
      });
    }
  });

  test("may have critical none but basicConstraints and keyUsage, whatever others understand", () => {
    for (const oid of ["2.5.29.14", "2.5.29.17", "2.5.29.30", "1.2.3.4"])
      for (const role of ["pckCa", "pck", "tcbSigner"] as const)
        assert.throws(
          () =>
            verifyCase(
              withExtension(role, extension(oid, { critical: true, value: derSequence() })),
            ),
          { code: "attest.not_verified", message: new RegExp(`critical extension ${oid}`) },
        );
  });

  test("that is the trust anchor is taken as it is: its own extensions are not asked", () => {
    const unknown = extension("1.2.3.4", { critical: true, value: derSequence() });
    assert.equal(statusOf(withExtension("root", unknown)), "UpToDate");
  });
});
