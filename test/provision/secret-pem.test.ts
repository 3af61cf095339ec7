import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { Secret } from "../../src/base/index.ts";
import { encodeSecretBase64, encodeSecretPem } from "../../src/provision/secret-pem.ts";
import { textOf } from "./bytes.ts";

test("secret base64 is what Node writes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      using secret = Secret.copy(bytes);
      using text = encodeSecretBase64(secret);
      assert.equal(textOf(text), Buffer.from(bytes).toString("base64"));
    }),
  );
});

test("secret PEM is what Node writes, for keys of many lengths", () => {
  for (const modulusLength of [1024, 1032, 1040, 2048]) {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength });
    for (const [label, type] of [
      ["PRIVATE KEY", "pkcs8"],
      ["RSA PRIVATE KEY", "pkcs1"],
    ] as const) {
      using der = Secret.take(privateKey.export({ format: "der", type }));
      using pem = encodeSecretPem(label, der);
      assert.equal(textOf(pem), privateKey.export({ format: "pem", type }));
    }
  }
});

test("the end of the base64 may be the end of a line", () => {
  using secret = Secret.take(new Uint8Array(48));
  using pem = encodeSecretPem("X", secret);
  assert.equal(textOf(pem), `-----BEGIN X-----\n${"A".repeat(64)}\n-----END X-----\n`);
});
