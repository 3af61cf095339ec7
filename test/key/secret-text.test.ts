import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Secret, toBase64Url, utf8 } from "../../src/base/index.ts";
import { encodeSecretText, parseSecretText } from "../../src/key/secret-text.ts";

test("secret text is base64url as everybody writes it, and comes back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      using text = encodeSecretText(Secret.copy(bytes));
      const digits = text.expose((view) => Uint8Array.from(view));
      assert.equal(Buffer.from(digits).toString("latin1"), toBase64Url(bytes));
      using back = parseSecretText(digits);
      assert.deepEqual(
        back?.expose((view) => Uint8Array.from(view)),
        bytes,
      );
    }),
  );
});

test("text that is not canonical base64url is refused", () => {
  const text = fc.string({ unit: fc.constantFrom("A", "B", "-", "_", "9", "+", "=", " ", "z") });
  fc.assert(
    fc.property(text, (string) => {
      using secret = parseSecretText(utf8(string));
      const canonical = Buffer.from(string, "base64url").toString("base64url") === string;
      assert.equal(secret !== null, canonical);
    }),
  );
});
