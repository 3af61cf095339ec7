import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isPpmlError, utf8 } from "../../../src/base/index.ts";
import { JsonReader } from "../../../src/attest/collateral/json-reader.ts";

const OPEN = utf8('{"svn":');

/** Reads a text whose outermost objects and lists are stepped through, `depth` deep. */
function read(text: string, depth: number): unknown {
  const json = new JsonReader(utf8(text), "the text");
  const value = step(json, text.trimStart()[0] ?? "", depth);
  json.end();
  return value;
}

function step(json: JsonReader, open: string, depth: number): unknown {
  if (open === "[" && depth > 0) {
    const items: unknown[] = [];
    json.enterList();
    while (json.nextItem()) items.push(json.value());
    return items;
  }
  if (open !== "{" || depth === 0) return json.value();
  const members = new Map<string, unknown>();
  json.enterObject();
  while (json.nextMember()) members.set(json.name(), json.value());
  return Object.fromEntries(members);
}

function outcome(work: () => unknown): unknown {
  try {
    return { value: work() };
  } catch (error) {
    assert.ok(error instanceof SyntaxError || isPpmlError(error, "attest.invalid"), String(error));
    return "refused";
  }
}

/** A name with an escape is refused, where JSON.parse reads it. */
const hasNameWithMore = (text: string): boolean => /[^ -~]|\\/.test(text);

test("any JSON is read as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(1), (text, depth) => {
      if (hasNameWithMore(text)) return;
      assert.deepEqual(
        outcome(() => read(text, depth)),
        { value: JSON.parse(text) },
      );
    }),
    { numRuns: 1000 },
  );
});

test("what JSON.parse refuses is refused, and the rest is read alike", () => {
  const pieces = ["{", "}", "[", "]", ",", ":", '"a"', '"b\\n"', "1", "0", "01", "1.0", "-0", " "];
  const more = ["1e2", "null", "true", "nul", '"', "\t", "1234567890123", '"\u0001"', '"é"', "\n"];
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...pieces, ...more), { maxLength: 9 }),
      fc.constantFrom(["{", "}"], ["[", "]"], ["", ""], ['{"a":', "}"], ["[1,", "]"]),
      (inner, [open, close]) => {
        const text = `${open}${inner.join("")}${close}`;
        const got = outcome(() => read(text, 1));
        if (got === "refused" && (hasNameWithMore(text) || hasNameTwice(text))) return;
        assert.deepEqual(
          got,
          outcome(() => JSON.parse(text) as unknown),
          text,
        );
      },
    ),
    { numRuns: 5000 },
  );
});

test("texts with escapes and other characters are values, and no names", () => {
  assert.deepEqual(read('{"a":"\\u0062é","c":["\\"",{}]}', 1), { a: "bé", c: ['"', {}] });
  for (const name of ["\\u0061", "é", 'a\\"'])
    assert.throws(() => read(`{"${name}":1}`, 1), { code: "attest.invalid", message: /the text/ });
  assert.throws(() => new JsonReader(Uint8Array.of(0x22, 0xff, 0x22), "it").value(), {
    code: "attest.invalid",
  });
});

/** `"a"` twice in one object or in two: `JSON.parse` reads both. */
const hasNameTwice = (text: string): boolean => /"a"\s*:[^]*"a"\s*:/.test(text);

test("T173: two members with one name are refused in an object that is entered, and __proto__ is a name", () => {
  for (const text of ['{"a":1,"a":1}', '{"a":1,"b":{},"ab":3,"a":2}', '{"":1,"":2}'])
    assert.throws(() => read(text, 1), {
      code: "attest.invalid",
      message: /two members named "a?"/,
    });
  assert.deepEqual(read('{"a":{"a":1,"a":2},"b":1}', 1), { a: { a: 2 }, b: 1 });
  const value = read('{"__proto__":{"b":1}}', 1);
  assert.ok(typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__"));
});

const members = (count: number): string =>
  `{${Array.from({ length: count }, (_none, at) => `"${at}":1`).join()}}`;

test("T173: an object that is entered has at most 256 members, each compared with those before it", () => {
  assert.equal(Object.keys(read(members(256), 1) as object).length, 256);
  assert.throws(() => read(members(257), 1), { code: "attest.invalid", message: /256 members/ });
  const started = performance.now();
  assert.throws(() => read(members(60_000), 1), { message: /256 members/ });
  assert.ok(performance.now() - started < 1000);
  // A value that is not entered may have any number.
  assert.ok(read(`{"a":${members(1000)}}`, 1));
});

/** Where a value ends, seen by what follows it: the text up to there, if it is taken. */
function passed(text: string, take: (json: JsonReader) => void): unknown {
  return outcome(() => {
    const json = new JsonReader(utf8(`[${text}`), "the text");
    json.enterList();
    const values: unknown[] = [];
    if (json.nextItem()) take(json);
    while (json.nextItem()) values.push(json.value());
    json.end();
    return values;
  });
}

const anyText = fc
  .array(fc.constantFrom("1", ",", "]", "[", '"a"', '"\\""', "{", "}", '"é"', ":", " ", "0"), {
    maxLength: 8,
  })
  .map((pieces) => pieces.join(""));

test("a value is skipped where it is read, and to the same end", () => {
  fc.assert(
    fc.property(fc.oneof(anyText, fc.json()), anyText, (first, rest) => {
      for (const text of [`${first}${rest}`, `${first},${rest}]`, `${first}]`])
        assert.deepEqual(
          passed(text, (json) => {
            json.skip();
          }),
          passed(text, (json) => {
            json.value();
          }),
          text,
        );
    }),
    { numRuns: 3000 },
  );
});

test("a number alone in an object is read as any other object is, or left where it stands", () => {
  const number = fc.constantFrom("7", "0", "255", "999999999", "1234567890", "01", "-1", "1.5", "");
  const end = fc.constantFrom("}", " }", ',"a":1}', "]", "");
  fc.assert(
    fc.property(fc.constantFrom('{"svn":', '{"svo":', '{ "svn":', "{"), number, end, (...parts) => {
      const text = `[${parts.join("")},8]`;
      const readAll = (alone: boolean): unknown =>
        outcome(() => {
          const json = new JsonReader(utf8(text), "the text");
          const values: unknown[] = [];
          json.enterList();
          while (json.nextItem()) {
            const svn = alone ? json.loneNumber(OPEN) : null;
            values.push(svn === null ? json.value() : { svn });
          }
          json.end();
          return values;
        });
      assert.deepEqual(readAll(true), readAll(false), text);
    }),
  );
  const json = new JsonReader(utf8('{"svn":21}'), "the text");
  assert.equal(json.loneNumber(OPEN), 21);
  json.end();
});
