import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rawJsonMember } from "../../../src/attest/collateral/raw-json.ts";
import { isPpmlError } from "../../../src/base/index.ts";

test("a member's text comes out as it stands, whatever is in it", () => {
  const text =
    ' {"a" : [1, {"b":"}]\\"\\\\"}] ,\n"tcbInfo":{"x": 1.50,"tcbInfo":2,"y":"\\u007b"} , "signature":"ab"} ';
  assert.equal(rawJsonMember(text, "tcbInfo"), '{"x": 1.50,"tcbInfo":2,"y":"\\u007b"}');
  assert.equal(rawJsonMember(text, "a"), '[1, {"b":"}]\\"\\\\"}]');
  assert.equal(rawJsonMember(text, "signature"), '"ab"');
  assert.equal(rawJsonMember('{"\\u0061":1}', "a"), "1");
});

test("any object's members are found, with any spacing", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }),
      fc.nat(3),
      (object, space) => {
        const text = JSON.stringify(object, null, space);
        // JSON.stringify writes __proto__ as a member, which an object made from text has as well.
        for (const [name, value] of Object.entries(JSON.parse(text) as Record<string, unknown>))
          assert.deepEqual(JSON.parse(rawJsonMember(text, name)), value);
      },
    ),
  );
});

test("a member that is missing or there twice, and text that is no object, are refused", () => {
  for (const text of [
    '{"b":1}',
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    "{}",
    "[]",
    "null",
    '"a"',
    "{",
    '{"a":1}}',
    "",
  ])
    assert.throws(
      () => rawJsonMember(text, "a"),
      (error: unknown) => isPpmlError(error, "attest.invalid"),
      text,
    );
});
