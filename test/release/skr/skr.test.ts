import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isPpmlError } from "../../../src/base/index.ts";
import { emitSkrPolicy } from "../../../src/release/skr/emit-skr.ts";
import { evaluateSkr } from "../../../src/release/skr/evaluate-skr.ts";
import { parseSkrPolicy } from "../../../src/format/skr/skr-policy.ts";
import type { SkrCondition } from "../../../src/format/skr/skr-policy.ts";

const ISSUER = "https://sharedweu.weu.attest.azure.net";

function met(condition: unknown, claims: Record<string, unknown>): boolean {
  const policy = parseSkrPolicy({
    version: "1.0.0",
    anyOf: [{ authority: ISSUER, allOf: [condition] }],
  });
  return evaluateSkr(policy, { authority: ISSUER, claims }).met;
}

function refused(policy: unknown): void {
  assert.throws(
    () => parseSkrPolicy(policy),
    (error) => isPpmlError(error, "release.policy"),
  );
}

test("each operator is met and not met as the grammar says", () => {
  const claims = { s: "Ab", n: 7, b: false };
  assert.ok(met({ claim: "s", equals: "Ab" }, claims));
  assert.ok(!met({ claim: "s", equals: "ab" }, claims));
  assert.ok(met({ claim: "n", equals: 7 }, claims));
  assert.ok(met({ claim: "b", equals: false }, claims));
  assert.ok(met({ claim: "s", notEquals: "x" }, claims));
  assert.ok(met({ claim: "b", notEquals: true }, claims));
  assert.ok(met({ claim: "n", less: 8 }, claims));
  assert.ok(!met({ claim: "n", less: 7 }, claims));
  assert.ok(met({ claim: "n", lessOrEquals: 7 }, claims));
  assert.ok(met({ claim: "n", greater: 6 }, claims));
  assert.ok(!met({ claim: "n", greater: 7 }, claims));
  assert.ok(met({ claim: "n", greaterOrEquals: 7 }, claims));
  assert.ok(met({ claim: "n", exists: true }, claims));
});

test("a missing claim meets no operator, notEquals and exists: false included", () => {
  for (const condition of [
    { claim: "m", equals: "x" },
    { claim: "m", notEquals: "x" },
    { claim: "m", less: 1 },
    { claim: "m", greaterOrEquals: 0 },
    { claim: "m", exists: true },
    { claim: "m", exists: false },
    { claim: "o.m", exists: false },
  ])
    assert.ok(!met(condition, { o: {} }), JSON.stringify(condition));
  assert.ok(!met({ claim: "m", exists: false }, { m: 1 }));
});

test("values of other types are neither equal, nor unequal, nor ordered", () => {
  assert.ok(!met({ claim: "a", equals: 1 }, { a: "1" }));
  assert.ok(!met({ claim: "a", equals: "true" }, { a: true }));
  assert.ok(!met({ claim: "a", notEquals: 1 }, { a: "2" }));
  assert.ok(!met({ claim: "a", greater: 1 }, { a: "2" }));
  assert.ok(!met({ claim: "a", equals: "null" }, { a: null }));
});

test("equals minds case and notEquals ignores it, so that no reading is laxer", () => {
  assert.ok(!met({ claim: "a", equals: "ABC" }, { a: "abc" }));
  assert.ok(!met({ claim: "a", notEquals: "ABC" }, { a: "abc" }));
});

test("dots navigate objects, and never arrays, prototypes or names with dots", () => {
  assert.ok(met({ claim: "a.b.c", equals: 1 }, { a: { b: { c: 1 } } }));
  assert.ok(!met({ claim: "a.0", equals: 1 }, { a: [1] }));
  assert.ok(!met({ claim: "a", exists: true }, { a: [1] }));
  assert.ok(!met({ claim: "a", exists: true }, { a: {} }));
  assert.ok(!met({ claim: "a.b", equals: 1 }, { "a.b": 1 }));
  assert.ok(!met({ claim: "a.b", equals: 1 }, { a: { b: 1 }, "a.b": 2 }));
  assert.ok(!met({ claim: "constructor.name", exists: true }, {}));
  assert.ok(!met({ claim: "s.length", equals: 1 }, { s: "x" }));
});

test("anyOf and allOf nest, and every condition has its outcome", () => {
  const policy = parseSkrPolicy({
    version: "1.0.0",
    anyOf: [
      { authority: "https://other", allOf: [{ claim: "a", exists: true }] },
      {
        authority: ISSUER,
        allOf: [
          { claim: "a", equals: 1 },
          { anyOf: [{ claim: "b", equals: 2 }, { allOf: [{ claim: "c", equals: 3 }] }] },
        ],
      },
    ],
  });
  const result = evaluateSkr(policy, { authority: ISSUER, claims: { a: 1, b: 0, c: 3 } });
  assert.equal(result.met, true);
  assert.deepEqual(
    result.outcomes.map((outcome) => [outcome.path, outcome.met]),
    [
      ["anyOf[1].allOf[0]", true],
      ["anyOf[1].allOf[1].anyOf[0]", false],
      ["anyOf[1].allOf[1].anyOf[1].allOf[0]", true],
    ],
  );
  assert.equal(evaluateSkr(policy, { authority: ISSUER, claims: { a: 1 } }).met, false);
});

test("an authority that the policy does not name gets nothing", () => {
  const policy = emitSkrPolicy({ authorities: [ISSUER], accepted: [{ a: 1 }] });
  for (const authority of [`${ISSUER}/`, ISSUER.toUpperCase(), "https://else"]) {
    const result = evaluateSkr(policy, { authority, claims: { a: 1 } });
    assert.deepEqual(result, { met: false, authorityNamed: false, outcomes: [] });
  }
});

test("what the grammar does not hold is refused", () => {
  const one = { claim: "a", equals: 1 };
  refused(null);
  refused({ version: "1.0.0", anyOf: [] });
  refused({ anyOf: [{ authority: ISSUER, allOf: [one] }] });
  refused({ version: "2.0.0", anyOf: [{ authority: ISSUER, allOf: [one] }] });
  refused({ version: "1.0.0", allOf: [{ authority: ISSUER, allOf: [one] }] });
  refused({ version: "1.0.0", anyOf: [{ authority: ISSUER, allOf: [one], anyOf: [one] }] });
  refused({ version: "1.0.0", anyOf: [{ authority: ISSUER, allof: [one] }] });
  for (const condition of [
    { claim: "a" },
    { claim: "a", equals: 1, less: 2 },
    { claim: "a", equals: [1] },
    { claim: "a", equals: { b: 1 } },
    { claim: "a", equals: null },
    { claim: "a", less: "1" },
    { claim: "a", exists: "true" },
    { claim: "a..b", equals: 1 },
    { claim: "", equals: 1 },
    { claim: "a", Equals: 1 },
    { anyOf: [] },
  ])
    refused({ version: "1.0.0", anyOf: [{ authority: ISSUER, allOf: [condition] }] });
});

test("a whole number that JSON's readers round is refused, also where it is written exactly", () => {
  for (const operator of ["equals", "notEquals", "less", "greaterOrEquals"])
    for (const value of [2 ** 53, JSON.parse("9007199254740993") as number, -(2 ** 60), 1e300])
      refused({
        version: "1.0.0",
        anyOf: [{ authority: ISSUER, allOf: [{ claim: "a", [operator]: value }] }],
      });
  parseSkrPolicy({
    version: "1.0.0",
    anyOf: [
      {
        authority: ISSUER,
        allOf: [
          { claim: "a", less: 2 ** 53 - 1 },
          { claim: "a", greater: 0.5 },
        ],
      },
    ],
  });
});

test("deep and wide policies are refused without harm", () => {
  let deep: unknown = { claim: "a", equals: 1 };
  for (let level = 0; level < 10_000; level += 1) deep = { allOf: [deep] };
  refused({ version: "1.0.0", anyOf: [{ authority: ISSUER, allOf: [deep] }] });
  const many = Array.from({ length: 501 }, () => ({ claim: "a", equals: 1 }));
  const entry = { authority: ISSUER, allOf: many };
  refused({ version: "1.0.0", anyOf: [entry, entry] });
  const wide = Array.from({ length: 1001 }, () => ({ claim: "a", equals: 1 }));
  refused({ version: "1.0.0", anyOf: [{ authority: ISSUER, allOf: wide }] });
  let eight: unknown = { claim: "a", equals: 1 };
  for (let level = 0; level < 7; level += 1) eight = { anyOf: [eight] };
  assert.ok(met(eight, { a: 1 }));
});

test("emitted policies are flat, use equals only and refuse deprecated claims", () => {
  const policy = emitSkrPolicy({
    authorities: [ISSUER, "https://own"],
    accepted: [{ "x-ms-sgx-mrenclave": "00", "x-ms-sgx-is-debuggable": false }],
  });
  assert.equal(policy.anyOf.length, 2);
  assert.deepEqual(policy.anyOf[0], {
    authority: ISSUER,
    allOf: [
      { claim: "x-ms-sgx-mrenclave", equals: "00" },
      { claim: "x-ms-sgx-is-debuggable", equals: false },
    ],
  });
  assert.throws(
    () => emitSkrPolicy({ authorities: [ISSUER], accepted: [{ "is-debuggable": false }] }),
    (error) => isPpmlError(error, "release.policy"),
  );
});

test("adding conditions to allOf never grants more, to anyOf never less", () => {
  const condition: fc.Arbitrary<SkrCondition> = fc.oneof(
    fc.record({ claim: fc.constantFrom("a", "b", "c.d"), equals: fc.constantFrom(1, "x", true) }),
    fc.record({ claim: fc.constantFrom("a", "b"), notEquals: fc.constantFrom(1, "x") }),
    fc.record({ claim: fc.constantFrom("a", "c.d"), greater: fc.integer({ min: 0, max: 3 }) }),
  );
  const claims = fc.record({
    a: fc.constantFrom(1, "x", null),
    b: fc.constantFrom(1, "x", true),
    c: fc.constantFrom({}, { d: 2 }, []),
  });
  fc.assert(
    fc.property(fc.array(condition, { minLength: 1 }), condition, claims, (list, more, said) => {
      const all = met({ allOf: list }, said);
      const any = met({ anyOf: list }, said);
      assert.ok(all || !met({ allOf: [...list, more] }, said));
      assert.ok(!any || met({ anyOf: [...list, more] }, said));
    }),
  );
});

test("no input makes the parser throw anything but its own refusal", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        parseSkrPolicy(value);
      } catch (error) {
        assert.ok(isPpmlError(error, "release.policy"));
      }
    }),
  );
});
