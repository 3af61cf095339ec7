import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { inspect } from "node:util";
import { makePassword } from "../../src/provision/password.ts";
import { checkPassword, faultOf, requirePassword } from "../../src/provision/password-check.ts";
import { secretOf, textOf } from "./bytes.ts";

/** Gives these bytes, then counts up. */
function scripted(...first: readonly number[]): (byteLength: number) => Uint8Array {
  const queue = [...first];
  let next = 0;
  return (byteLength) => Uint8Array.from({ length: byteLength }, () => queue.shift() ?? next++);
}

test("T205: every character is equally likely: of 256 bytes each is made by four, eight are drawn anew", () => {
  const counts = new Map<string, number>();
  for (let byte = 0; byte < 256; byte += 1) {
    // The byte, or, where it is drawn anew, the "A" of the next; then letters and a digit.
    using password = makePassword({ characters: 20, random: scripted(byte, 0, 61) });
    const [first = ""] = textOf(password);
    if (byte < 248) counts.set(first, (counts.get(first) ?? 0) + 1);
    else assert.equal(first, "A", `byte ${byte} is not a multiple of 62 away`);
  }
  assert.equal(counts.size, 62);
  assert.deepEqual(new Set(counts.values()), new Set([4]));
});

test("a password without a digit is drawn anew as a whole", () => {
  const letters = Array<number>(20).fill(1);
  using password = makePassword({ characters: 20, random: scripted(...letters, 60, 61) });
  assert.equal(textOf(password), "89ABCDEFGHIJKLMNOPQR");
});

test("passwords are as long as asked for, keep the rule, differ, and their random bytes are zeroed", () => {
  const seen = new Set<string>();
  for (let time = 0; time < 200; time += 1) {
    const drawn: Uint8Array[] = [];
    const random = (byteLength: number) => {
      const bytes = randomBytes(byteLength);
      drawn.push(bytes);
      return bytes;
    };
    using password = makePassword({ characters: 32, random });
    assert.match(textOf(password), /^(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9]{32}$/);
    assert.ok(drawn.every((bytes) => bytes.every((byte) => byte === 0)));
    seen.add(textOf(password));
  }
  assert.equal(seen.size, 200);
});

const FAULTS: readonly (readonly [password: string, fault: RegExp | null])[] = [
  ["abc123", /has 6 characters: expected 7 or more/],
  ["abc1234", null],
  ["1234567", /has no letter/],
  ["abcdefg", /has no digit/],
  ["3456abcd", /is a printed example/],
  ["pässwört1", /not printable ASCII/],
  ["tab\t12345", /not printable ASCII/],
  [`a1${"x".repeat(254)}`, null],
  [`a1${"x".repeat(255)}`, /has 257 characters: expected at most 256/],
  ["correct horse 1!", null],
];

for (const [text, fault] of FAULTS)
  test(`the rule on ${JSON.stringify(text.slice(0, 20))} (${text.length}): ${fault?.source ?? "kept"}`, () => {
    using password = secretOf(text);
    const found = faultOf(checkPassword(password));
    if (fault === null) assert.equal(found, null);
    else assert.match(found ?? "", fault);
    if (fault === null) assert.doesNotThrow(() => requirePassword(password));
    else assert.throws(() => requirePassword(password), { code: "provision.password" });
  });

test("T201: a refused password is not in the error, in no part of it", () => {
  using password = secretOf("hunterhunter");
  try {
    requirePassword(password);
    assert.fail("accepted");
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.doesNotMatch(inspect(error, { depth: 9 }), /hunter/);
  }
});

function reportOf(text: string) {
  using password = secretOf(text);
  return checkPassword(password);
}

const bitsOf = (text: string) => reportOf(text).bitsAtMost;
const strengthOf = (text: string) => reportOf(text).strength;

test("the strength is the most that it can be, and less for runs", () => {
  assert.equal(bitsOf("3456abcd"), 0);
  assert.equal(bitsOf("4567bcde"), Math.floor(2 * Math.log2(36) + 6));
  assert.equal(bitsOf("aaaaaaa1"), Math.floor(2 * Math.log2(36) + 6));
  assert.equal(bitsOf("Xq7"), Math.floor(3 * Math.log2(62)));
  assert.equal(bitsOf("Xq7!"), Math.floor(4 * Math.log2(95)));
  assert.equal(bitsOf(""), 0);
});

test("weak, fair and strong begin at 0, 64 and 112 bits", () => {
  const random = "k7Qz9mXw2Rb5Lt8Vc1Nf4Hd6Js3Gp0Yk";
  assert.equal(strengthOf(random.slice(0, 10)), "weak");
  assert.equal(strengthOf(random.slice(0, 11)), "fair");
  assert.equal(strengthOf(random.slice(0, 18)), "fair");
  assert.equal(strengthOf(random.slice(0, 19)), "strong");
});
