import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromUtf8, utf8 } from "../../../../src/base/index.ts";
import { signStatement } from "../../../../src/attest/sim/dcap-collateral.ts";
import { makeCase, pki, verifyCase } from "../../dcap-fixture.ts";
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
      ["tcbInfo", '"tcbType":0', '"tcbType":0e0'],
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
