import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { utf8 } from "../../../src/base/index.ts";
import {
  checkedCollateral,
  encodeDcapWireCollateral,
  encodeQuoteCollateralV3,
  parseDcapWireCollateral,
  parseQuoteCollateralV3,
} from "../../../src/attest/collateral/dcap-collateral.ts";
import { parseQeIdentity } from "../../../src/attest/collateral/qe-identity.ts";
import { parseTcbInfo } from "../../../src/attest/collateral/tcb-info.ts";
import { makeCase } from "../dcap-fixture.ts";

const { collateral } = makeCase("tdx v4");
const invalid = (message: RegExp) => ({ code: "attest.invalid", message });

/** The text of a signed JSON with some members replaced; `undefined` leaves one out. */
function changed(json: Uint8Array, changes: Readonly<Record<string, unknown>>): Uint8Array {
  const value = JSON.parse(new TextDecoder().decode(json)) as Record<string, unknown>;
  return utf8(JSON.stringify({ ...value, ...changes }));
}

describe("collateral", () => {
  const chained = { ...collateral, pckCertificateChain: collateral.pckCrlIssuerChain };

  test("keeps its bytes through the JSON form and through the wire form", () => {
    for (const given of [collateral, chained]) {
      assert.deepEqual(parseQuoteCollateralV3(encodeQuoteCollateralV3(given)), given);
      assert.deepEqual(parseDcapWireCollateral(encodeDcapWireCollateral(given)), given);
    }
  });

  test("in the JSON form may have the head of Intel's structure", () => {
    const form = encodeQuoteCollateralV3(collateral);
    for (const head of [
      { version: 3, tee_type: 0x81 },
      { version: "3.1", tee_type: "00000081" },
      { major_version: 3, minor_version: 1, tee_type: 0 },
    ])
      assert.deepEqual(parseQuoteCollateralV3({ ...head, ...form }), collateral);
  });

  test("in the JSON form is refused with an unknown, a missing or a wrong member", () => {
    const form = encodeQuoteCollateralV3(collateral);
    assert.throws(() => parseQuoteCollateralV3({ ...form, more: "" }), invalid(/collateral/));
    for (const name of Object.keys(form)) {
      const { [name as keyof typeof form]: _left, ...rest } = form;
      assert.throws(() => parseQuoteCollateralV3(rest), invalid(new RegExp(name)));
      assert.throws(
        () => parseQuoteCollateralV3({ ...form, [name]: 1 }),
        invalid(new RegExp(name)),
      );
    }
    for (const hex of ["0", "zz", "0x00"])
      assert.throws(() => parseQuoteCollateralV3({ ...form, pck_crl: hex }), invalid(/hex/));
    for (const value of [null, 1, "", [], undefined])
      assert.throws(() => parseQuoteCollateralV3(value), invalid(/collateral/));
  });

  test("in the wire form is refused with an unknown, a missing or a wrong member", () => {
    const wire = encodeDcapWireCollateral(collateral);
    assert.throws(() => parseDcapWireCollateral({ ...wire, more: "" }), invalid(/unknown member/));
    assert.throws(() => parseDcapWireCollateral({}), {
      code: "attest.collateral",
      message: /came without Intel's collateral.*--collateral or --pccs/,
    });
    for (const name of Object.keys(wire)) {
      const { [name]: _left, ...rest } = wire;
      assert.throws(() => parseDcapWireCollateral(rest), invalid(/lacks its member/));
      assert.throws(() => parseDcapWireCollateral({ ...wire, [name]: "=" }), invalid(/base64url/));
    }
  });

  test("over its bounds is refused", () => {
    for (const [name, bound] of [
      ["tcbInfo", 512 * 1024],
      ["tcbInfoSignature", 64],
      ["pckCrl", 4 * 1024 * 1024],
      ["tcbInfoIssuerChain", 64 * 1024],
    ] as const)
      assert.throws(
        () => checkedCollateral({ ...collateral, [name]: new Uint8Array(bound + 1) }),
        invalid(new RegExp(`at most ${bound} bytes of ${name}`)),
      );
  });
});

const components = (length: number, svn: number) => Array.from({ length }, () => ({ svn }));

describe("TCB info", () => {
  const { tcbInfo } = collateral;
  const parse = (changes: Readonly<Record<string, unknown>>) =>
    parseTcbInfo(changed(tcbInfo, changes));
  const [level] = (
    JSON.parse(new TextDecoder().decode(tcbInfo)) as { tcbLevels: Record<string, unknown>[] }
  ).tcbLevels;
  const withLevel = (changes: Readonly<Record<string, unknown>>) =>
    parse({ tcbLevels: [{ ...level, ...changes }] });

  test("with members that this version does not know is read, without them", () => {
    const info = parse({ tdxTcbRecoveryHint: { any: [1] } });
    assert.ok(!("tdxTcbRecoveryHint" in info));
    assert.deepEqual(info, parseTcbInfo(tcbInfo));
    assert.equal(withLevel({ more: 1 }).tcbLevels[0]?.tcbStatus, "UpToDate");
  });

  test("has its levels highest first, whatever their order", () => {
    const info = parseTcbInfo(tcbInfo);
    assert.deepEqual(
      info.tcbLevels.map(({ tcbStatus }) => tcbStatus),
      ["UpToDate", "OutOfDate"],
    );
    const { tcbLevels } = JSON.parse(new TextDecoder().decode(tcbInfo)) as { tcbLevels: unknown[] };
    assert.deepEqual(parse({ tcbLevels: tcbLevels.toReversed() }), info);
  });

  test("of another version is named as unsupported", () => {
    for (const version of [1, 2, 4, "3", null])
      assert.throws(() => parse({ version }), { code: "attest.unsupported", message: /version 3/ });
  });

  test("with a missing or wrong member is refused", () => {
    const names = ["id", "issueDate", "nextUpdate", "fmspc", "pceId", "tcbType", "tcbLevels"];
    for (const name of [...names, "tcbEvaluationDataNumber"])
      for (const value of [undefined, {}, "x"])
        assert.throws(() => parse({ [name]: value }), { code: "attest.invalid" }, name);
    for (const issueDate of ["2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00.5Z"])
      assert.throws(() => parse({ issueDate }), { code: "attest.invalid" });
  });

  test("with a level of a wrong form is refused", () => {
    for (const wrong of [
      { tcbStatus: "Fine" },
      { tcbStatus: "TDRelaunchAdvised" },
      { tcbDate: 0 },
      { advisoryIDs: "INTEL-SA-00001" },
      { tcb: { sgxtcbcomponents: [], pcesvn: 1 } },
      { tcb: { sgxtcbcomponents: components(16, 256), pcesvn: 1 } },
      { tcb: { sgxtcbcomponents: components(16, 1.5), pcesvn: 1 } },
      { tcb: { sgxtcbcomponents: components(17, 1), pcesvn: 1 } },
      { tcb: { sgxtcbcomponents: components(16, 1), pcesvn: -1 } },
    ])
      assert.throws(() => withLevel(wrong), { code: "attest.invalid" }, JSON.stringify(wrong));
    assert.throws(() => parse({ tcbLevels: Array(501).fill(level) }), { code: "attest.invalid" });
  });

  test("with a TDX module or an identity of a wrong form is refused", () => {
    const module = {
      mrsigner: "00".repeat(48),
      attributes: "00".repeat(8),
      attributesMask: "FF".repeat(8),
    };
    const levels = [{ tcb: { isvsvn: 3 }, tcbDate: "2026-01-01T00:00:00Z", tcbStatus: "UpToDate" }];
    const identity = { id: "TDX_01", ...module, tcbLevels: levels };
    const good = parse({ tdxModule: module, tdxModuleIdentities: [identity] });
    assert.equal(good.tdxModule?.mrsigner.byteLength, 48);
    assert.deepEqual(good.tdxModuleIdentities[0]?.tcbLevels[0]?.tcb, { isvsvn: 3 });
    assert.deepEqual(Object.keys(good.tdxModule ?? {}).toSorted(), Object.keys(module).toSorted());
    for (const wrong of [null, [], "x", {}, { ...module, mrsigner: "00" }])
      assert.throws(() => parse({ tdxModule: wrong }), { code: "attest.invalid" });
    for (const wrong of [
      { id: undefined },
      { id: "x".repeat(21) },
      { attributes: 0 },
      { tcbLevels: undefined },
      { tcbLevels: [] },
      { tcbLevels: Array(101).fill(levels[0]) },
      { tcbLevels: [{ ...levels[0], tcb: { isvsvn: 256 } }] },
      { tcbLevels: [{ ...levels[0], tcb: 3 }] },
      { tcbLevels: [{ ...levels[0], tcb: undefined }] },
    ])
      assert.throws(() => parse({ tdxModuleIdentities: [{ ...identity, ...wrong }] }), {
        code: "attest.invalid",
      });
    for (const wrong of [{}, identity, Array.from({ length: 101 }, () => identity)])
      assert.throws(() => parse({ tdxModuleIdentities: wrong }), { code: "attest.invalid" });
  });

  test("that is no JSON, no UTF-8 or over 512 KiB is refused", () => {
    for (const json of [utf8("{"), utf8("null"), Uint8Array.of(0x22, 0xff, 0x22), utf8("")])
      assert.throws(() => parseTcbInfo(json), { code: "attest.invalid" });
    assert.throws(() => parseTcbInfo(new Uint8Array(512 * 1024 + 1)), invalid(/at most 524288/));
  });
});

const parseQe = (changes: Readonly<Record<string, unknown>>) =>
  parseQeIdentity(changed(collateral.qeIdentity, changes));

describe("a QE identity", () => {
  test("with members that this version does not know is read, without them", () => {
    assert.deepEqual(parseQe({ more: 1 }), parseQeIdentity(collateral.qeIdentity));
  });

  test("is known in versions 2 and 3", () => {
    assert.equal(parseQe({ version: 3 }).version, 3);
    for (const version of [1, 4])
      assert.throws(() => parseQe({ version }), { code: "attest.unsupported" });
  });

  test("with a missing or wrong member is refused", () => {
    const names = Object.keys(parseQeIdentity(collateral.qeIdentity)).filter(
      (name) => name !== "version",
    );
    assert.equal(names.length, 11);
    for (const name of names)
      for (const value of [undefined, {}, "x"])
        assert.throws(() => parseQe({ [name]: value }), { code: "attest.invalid" }, name);
    const tcbLevels = [{ tcb: { isvsvn: 1 }, tcbDate: "2026-01-01T00:00:00Z", tcbStatus: "No" }];
    assert.throws(() => parseQe({ tcbLevels }), { code: "attest.invalid" });
  });
});
