import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromUtf8, utf8 } from "../../../../src/base/index.ts";
import { signStatement, simTcbLevel } from "../../../../src/attest/sim/dcap-collateral.ts";
import { KINDS, makeCase, pki, verifyCase } from "../../dcap-fixture.ts";
import type { Kind } from "../../dcap-fixture.ts";

type Statement = "tcbInfo" | "qeIdentity";
const STATEMENTS: readonly Statement[] = ["tcbInfo", "qeIdentity"];

/** The verification of a case one of whose statements has another text, which is signed as any is. */
function verifyText(kind: Kind, statement: Statement, change: (text: string) => string) {
  const good = makeCase(kind);
  const before = fromUtf8(good.collateral[statement]);
  const changed = change(before);
  assert.notEqual(changed, before);
  const signature = signStatement(pki, utf8(changed));
  const collateral = {
    ...good.collateral,
    [statement]: utf8(changed),
    [`${statement}Signature`]: signature,
  };
  return verifyCase({ ...good, collateral }).verification;
}

const verifyWith = (kind: Kind, collateral: Parameters<typeof makeCase>[1]) =>
  verifyCase(makeCase(kind, collateral)).verification;

const invalid = (message: RegExp) => ({ code: "attest.invalid", message });

describe("the JSON of TCB info and QE identity", () => {
  test("is read the same with white space, members that are not known, and escapes in texts", () => {
    for (const statement of STATEMENTS)
      for (const change of [
        (text: string) => `\n ${JSON.stringify(JSON.parse(text), null, 2)}\r\n`,
        (text: string) => text.replace("{", '{"new":{"a":[1.5,{"b":null}],"a":2},"":"\\ud800",'),
        (text: string) => text.replace('"UpToDate"', '"\\u0055pToDate"'),
      ])
        assert.equal(verifyText("tdx v4", statement, change).tcbStatus, "UpToDate");
  });

  test("is refused with two members of one name, of which libraries take one or the other", () => {
    for (const statement of STATEMENTS)
      for (const [from, to] of [
        [/\{/, '{"id":"QVE",'],
        [/\}$/, ',"version":3}'],
        [/\}$/, ',"tcbLevels":[]}'],
        [/\}$/, ',"new":1,"new":1}'],
        [/"tcbStatus":"UpToDate"/, '"tcbStatus":"OutOfDate","tcbStatus":"UpToDate"'],
        [/"tcb":\{/, '"tcb":{"isvsvn":0,"pcesvn":0,"isvsvn":0,"pcesvn":0,'],
      ] as const)
        assert.throws(
          () => verifyText("tdx v4", statement, (text) => text.replace(from, to)),
          invalid(/two members named "(?:id|version|tcbLevels|new|tcbStatus|isvsvn)"/),
        );
    assert.throws(
      () => verifyText("tdx v4", "tcbInfo", (text) => text.replace('"svn":3}', '"svn":3,"svn":3}')),
      invalid(/two members named "svn"/),
    );
  });

  test("is refused with a number that is not written in digits alone, as Intel's library does", () => {
    for (const [statement, from, to] of [
      ["tcbInfo", '"svn":3}', '"svn":3.0}'],
      ["tcbInfo", '"svn":0}', '"svn":-0}'],
      ["tcbInfo", '"pcesvn":13', '"pcesvn":13.0'],
      ["tcbInfo", '"tcbEvaluationDataNumber":20', '"tcbEvaluationDataNumber":2e1'],
      ["qeIdentity", '"isvsvn":8', '"isvsvn":8.0'],
      ["qeIdentity", '"isvprodid":2', '"isvprodid":2.0'],
    ] as const)
      assert.throws(
        () => verifyText("tdx v4", statement, (text) => text.replace(from, to)),
        invalid(/expected an integer from 0 to/),
      );
    for (const statement of STATEMENTS)
      assert.throws(
        () => verifyText("tdx v4", statement, (text) => text.replace(/n":([23]),/, 'n":$1.0,')),
        { code: "attest.unsupported", message: /of version .*, got none/ },
      );
  });

  test("has names in ASCII without escapes: one that could be read as another is refused", () => {
    for (const statement of STATEMENTS)
      for (const name of ["\\u0076ersion", "n\\u0065w", "né"])
        assert.throws(
          () => verifyText("tdx v4", statement, (text) => text.replace("{", `{"${name}":1,`)),
          invalid(/not valid JSON, or not of a known form/),
        );
  });

  test("has times of one form, also where nothing hangs on them", () => {
    for (const time of ["2026-03-11T00:00:00.5Z", "2026-03-11T00:00:00+00:00", "2026-03-11"])
      for (const statement of STATEMENTS)
        assert.throws(
          () =>
            verifyText("sgx v3", statement, (text) =>
              text.replace(/"20(?:24-03-13|23-02-15)T00:00:00Z"/, `"${time}"`),
            ),
          invalid(/a time that exists, .* in tcbDate/),
        );
  });
});

const module3 = (tcbLevels: readonly unknown[]) => ({
  tcbInfo: {
    tdxModuleIdentities: [
      {
        id: "TDX_03",
        mrsigner: "00".repeat(48),
        attributes: "00".repeat(8),
        attributesMask: "FF".repeat(8),
        tcbLevels,
      },
    ],
  },
});
const level = (isvsvn: number, tcbStatus: string) => ({
  tcb: { isvsvn },
  tcbDate: "2024-03-13T00:00:00Z",
  tcbStatus,
});

/** A level of SGX TCB info with TDX components, which have no business there. */
function sgxWithTdx(tcbStatus: string, svn: number, lower: number) {
  const sgx = simTcbLevel(pki, { tee: "sgx", lower, tcbStatus });
  const tcb = sgx["tcb"] as Readonly<Record<string, unknown>>;
  const tdxtcbcomponents = Array.from({ length: 16 }, () => ({ svn }));
  return { ...sgx, tcb: { ...tcb, tdxtcbcomponents } };
}

describe("the levels of TCB info and QE identity", () => {
  test("are of TCB type 0, the only one whose comparison is known", () => {
    for (const kind of KINDS)
      for (const tcbType of [1, 65_535, 65_536])
        assert.throws(
          () => verifyWith(kind, { collateral: { tcbInfo: { tcbType } } }),
          invalid(/expected 0, .*, in tcbType/),
        );
  });

  test("of a TDX module and a Quoting Enclave are tried highest first, whatever order they have", () => {
    const outOfDate = [level(0, "UpToDate"), level(4, "OutOfDate"), level(200, "UpToDate")];
    for (const collateral of [module3(outOfDate), { qeIdentity: { tcbLevels: outOfDate } }])
      assert.equal(verifyWith("tdx v4", { collateral }).tcbStatus, "OutOfDate");
  });

  test("are refused where two of them ask for the same SVNs", () => {
    const twice = [level(5, "UpToDate"), level(4, "OutOfDate"), level(5, "Revoked")];
    for (const collateral of [module3(twice), { qeIdentity: { tcbLevels: twice } }])
      assert.throws(
        () => verifyWith("tdx v4", { collateral }),
        invalid(/levels of different SVNs in tcbLevels/),
      );
    for (const kind of KINDS) {
      const tee = kind === "sgx v3" ? "sgx" : "tdx";
      const levels = ["UpToDate", "OutOfDate"].map((tcbStatus) =>
        simTcbLevel(pki, { tee, lower: 0, tcbStatus }),
      );
      assert.throws(
        () => verifyWith(kind, { collateral: { tcbInfo: { tcbLevels: levels } } }),
        invalid(/levels of different SVNs in tcbLevels/),
      );
    }
  });

  test("of SGX are not told apart, nor put in order, by TDX components", () => {
    const twice = [sgxWithTdx("OutOfDate", 0, 0), sgxWithTdx("UpToDate", 9, 0)];
    assert.throws(
      () => verifyWith("sgx v3", { collateral: { tcbInfo: { tcbLevels: twice } } }),
      invalid(/levels of different SVNs in tcbLevels/),
    );
    const good = [sgxWithTdx("OutOfDate", 9, 1), sgxWithTdx("UpToDate", 0, 0)];
    const found = verifyWith("sgx v3", { collateral: { tcbInfo: { tcbLevels: good } } });
    assert.equal(found.tcbStatus, "UpToDate");
  });

  test("are all of a known form, also those that the platform does not meet", () => {
    const bad = [
      [{ qeIdentity: { tcbLevels: [level(8, "UpToDate"), level(1, "SWHardeningNeeded")] } }],
      [{ qeIdentity: { tcbLevels: [level(9, "TDRelaunchAdvised"), level(8, "UpToDate")] } }],
      [module3([level(5, "UpToDate"), level(1, "ConfigurationNeeded")])],
      [module3([level(256, "UpToDate"), level(5, "UpToDate")])],
    ] as const;
    for (const [collateral] of bad)
      assert.throws(() => verifyWith("tdx v4", { collateral }), invalid(/in (?:tcbStatus|isvsvn)/));
    const status = simTcbLevel(pki, { tee: "tdx", lower: 1, tcbStatus: "TDRelaunchAdvised" });
    const tcbLevels = [simTcbLevel(pki, { tee: "tdx", lower: 0, tcbStatus: "UpToDate" }), status];
    assert.throws(
      () => verifyWith("tdx v4", { collateral: { tcbInfo: { tcbLevels } } }),
      invalid(/in tcbStatus/),
    );
  });

  test("of TDX all have TDX components, also those below the platform's", () => {
    const tcbLevels = [
      simTcbLevel(pki, { tee: "tdx", lower: 0, tcbStatus: "UpToDate" }),
      simTcbLevel(pki, { tee: "sgx", lower: 1, tcbStatus: "OutOfDate" }),
    ];
    assert.throws(
      () => verifyWith("tdx v4", { collateral: { tcbInfo: { tcbLevels } } }),
      invalid(/a list of 16 in tdxtcbcomponents/),
    );
  });

  test("name each advisory once in the result", () => {
    const tcbLevels = [{ ...level(8, "UpToDate"), advisoryIDs: ["SA-1", "SA-1", "SA-2"] }];
    const found = verifyWith("sgx v3", { collateral: { qeIdentity: { tcbLevels } } });
    assert.deepEqual(found.advisoryIds, ["SA-1", "SA-2"]);
  });
});
