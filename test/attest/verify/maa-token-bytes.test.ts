import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isPpmlError, toBase64Url, utf8 } from "../../../src/base/index.ts";
import { verifyMaaToken } from "../../../src/attest/verify/maa-token.ts";
import { claimsOf, goodDemands, goodHeader, signText, tokenOf } from "../maa-fixture.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const token = tokenOf();
const header = JSON.stringify(goodHeader);
const payload = JSON.stringify(claimsOf());

const verify = (text: string) => verifyMaaToken(text, goodDemands);

const refuses = (text: string, message: RegExp, code = "attest.invalid"): Promise<void> =>
  assert.rejects(verify(text), { name: "PpmlError", code, message });

const twice = (text: string, member: string): string => `{${member},${text.slice(1)}`;

/** Refused with one of attestation's own codes, never with an error of another kind. */
const refused = async (text: string): Promise<boolean> => {
  try {
    await verify(text);
    return false;
  } catch (error) {
    return isPpmlError(error) && error.code.startsWith("attest.");
  }
};

test("T89: every truncation of a token is refused", async () => {
  await verify(token);
  for (let length = 0; length < token.length; length += 1)
    assert.ok(await refused(token.slice(0, length)), `cut to ${length} characters`);
  for (let start = 1; start < 60; start += 1) assert.ok(await refused(token.slice(start)));
});

test("T89: every changed character of a token is refused, slack bits of base64url included", async () => {
  for (let at = 0; at < token.length; at += 7)
    for (const other of ["A", "_", "b"])
      if (token[at] !== other)
        assert.ok(await refused(token.slice(0, at) + other + token.slice(at + 1)), `at ${at}`);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(token.length - 1),
      fc.constantFrom(...ALPHABET.split(""), ".", "=", "+", "/", " ", "\n", "\u0000", "é"),
      async (at, other) => {
        fc.pre(token[at] !== other);
        return refused(token.slice(0, at) + other + token.slice(at + 1));
      },
    ),
    { numRuns: 2000 },
  );
});

test("T89: the last character of each part has one form only", async () => {
  const ends = [token.indexOf("."), token.lastIndexOf("."), token.length];
  let tried = 0;
  for (const end of ends)
    for (const other of ALPHABET) {
      const changed = token.slice(0, end - 1) + other + token.slice(end);
      if (changed === token) continue;
      assert.ok(await refused(changed), `${other} before ${end}`);
      tried += 1;
    }
  assert.equal(tried, 3 * 63);
});

test("T89: inserted, doubled, removed and swapped pieces of a token are refused", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(token.length),
      fc.nat(token.length),
      fc.string({ maxLength: 20 }),
      async (a, b, piece) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const changed = token.slice(0, from) + piece + token.slice(to);
        fc.pre(changed !== token);
        return refused(changed);
      },
    ),
    { numRuns: 1000 },
  );
});

test("T89: the signature, header or payload of another good token is refused", async () => {
  const other = tokenOf({ claims: { jti: "another" } });
  const [parts, others] = [token.split("."), other.split(".")];
  for (const mixed of [
    [parts[0], parts[1], others[2]],
    [parts[0], others[1], parts[2]],
    [parts[1], parts[0], parts[2]],
  ])
    assert.ok(await refused(mixed.join(".")));
  await verify(other);
});

test("base64 that is padded, standard, wrapped or with white space is refused", async () => {
  const [head = "", body = "", signature = ""] = token.split(".");
  for (const form of [
    `${head}=.${body}.${signature}`,
    `${head}.${body}=.${signature}`,
    `${head}.${body}.${signature}=`,
    `${head}.${body}.${signature}==`,
    ` ${token}`,
    `${token}\n`,
    `${head}.${body.slice(0, 40)}\n${body.slice(40)}.${signature}`,
    `${head}.${body}.${signature}.`,
    `${token}.${signature}`,
    `.${body}.${signature}`,
    `${head}..${signature}`,
    "..",
    "",
  ])
    await refuses(form, /three parts of base64url/);
  assert.match(signature, /[-_]/, "control: the signature uses the URL alphabet");
  await refuses(
    `${head}.${body}.${signature.replaceAll("-", "+").replaceAll("_", "/")}`,
    /three parts of base64url/,
  );
});

test("a token in JSON serialisation is refused", async () => {
  const [head = "", body = "", signature = ""] = token.split(".");
  await refuses(
    JSON.stringify({ protected: head, payload: body, signature }),
    /three parts of base64url/,
  );
});

test("duplicated members are refused in the header and at any depth of the claims, signed or not", async () => {
  for (const member of ['"alg":"none"', '"alg":"RS256"', '"\\u0061lg":"none"', '"kid":"x"'])
    await refuses(signText(twice(header, member), payload), /has the member "(?:alg|kid)" twice/);
  for (const member of ['"iss":"https://evil.example"', '"exp":1', '"\\u0065xp":1'])
    await refuses(signText(header, twice(payload, member)), /has the member "(?:iss|exp)" twice/);
  const nested = payload.replace('"x-ms-runtime":{', '"x-ms-runtime":{"keys":[{"a":1,"a":2}],');
  assert.notEqual(nested, payload);
  await refuses(signText(header, nested), /has the member "a" twice/);
  await refuses(signText(header, twice(payload, '"__proto__":{}')), /"__proto__" which is not/);
});

test("the same name in two objects, and text that looks like members, are not duplicates", async () => {
  const claims = claimsOf({
    extra: [{ a: 1 }, { a: 2 }, { b: { a: '","a":"' } }],
    other: '{"iss":"x","iss":"y"}\\"',
  });
  await verify(signText(header, JSON.stringify(claims)));
});

test("a huge token is refused by its length, before it is parsed", async () => {
  const big = JSON.stringify(claimsOf({ filler: "x".repeat(100_000) }));
  await refuses(signText(header, big), /at most 131072 characters/);
  await refuses("A".repeat(50_000_000), /at most 131072 characters/);
  await verify(signText(header, JSON.stringify(claimsOf({ filler: "x".repeat(80_000) }))));
});

test("JSON that nests deep is refused", async () => {
  for (const depth of [65, 10_000]) {
    const deep = `${payload.slice(0, -1)},"deep":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    await refuses(signText(header, deep), /nests deeper than 64 levels/);
    await refuses(signText(`${"[".repeat(depth)}${"]".repeat(depth)}`, payload), /nests deeper/);
  }
});

test("parts that are not JSON objects in UTF-8 are refused", async () => {
  for (const text of ["", "null", "[]", '"text"', "1", "{", `${payload} x`, `\ufeff${payload}`]) {
    if (text !== "") await refuses(signText(text, payload), /valid JSON|as a JSON object/);
    if (text !== "") await refuses(signText(header, text), /valid JSON|as a JSON object/);
  }
  const [head = "", , signature = ""] = token.split(".");
  const bytes = Uint8Array.of(...utf8(payload.slice(0, -2)), 0xff, ...utf8('"}'));
  await refuses(`${head}.${toBase64Url(bytes)}.${signature}`, /is not valid JSON/);
});
