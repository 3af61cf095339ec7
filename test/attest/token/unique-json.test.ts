import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { utf8 } from "../../../src/base/index.ts";
import { parseUniqueJson } from "../../../src/attest/token/unique-json.ts";

test("JSON without duplicates reads as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      fc.pre(!text.includes('"__proto__"'));
      assert.deepEqual(parseUniqueJson(utf8(text), "it"), JSON.parse(text));
    }),
  );
});

test("a member that is there twice is refused at any place, in any spelling", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", maxLength: 8 }).filter((name) => !/[\\\p{Cc}]/u.test(name)),
      fc.json({ maxDepth: 3 }),
      fc.integer({ min: 0, max: 5 }),
      (name, value, depth) => {
        fc.pre(!value.includes('"__proto__"'));
        const quoted = JSON.stringify(name);
        const spelled = quoted.replaceAll("a", "\\u0061");
        const inner = `{${quoted}:${value}, "other":1 ,${spelled} : 2}`;
        const text = `${'{"x":['.repeat(depth)}${inner}${"]}".repeat(depth)}`;
        JSON.parse(text);
        assert.throws(() => parseUniqueJson(utf8(text), "it"), { code: "attest.invalid" });
      },
    ),
  );
});

test("text with quotes, braces and colons inside of strings is not structure", () => {
  const value = { '{"a":1,"a":2}': '\\"}],:{', a: ["a", "a", { a: "a" }], b: '"a":' };
  assert.deepEqual(parseUniqueJson(utf8(JSON.stringify(value)), "it"), value);
});

test("long text is walked in linear time", () => {
  const text = JSON.stringify({ a: '\\"'.repeat(40_000), b: '"'.repeat(40_000) });
  const start = performance.now();
  parseUniqueJson(utf8(text), "it");
  for (const broken of [`"${'\\"'.repeat(60_000)}`, '"'.repeat(60_001), "[".repeat(60)])
    assert.throws(() => parseUniqueJson(utf8(broken), "it"), { code: "attest.invalid" });
  assert.ok(performance.now() - start < 2000);
});
