import { type Secret, Secret as SecretClass, utf8 } from "../../src/base/index.ts";

/** A copy of a secret's bytes, for comparisons. */
export function bytesOf(secret: Secret): Buffer {
  return secret.expose((bytes) => Buffer.from(bytes));
}

/** The text of a secret, one character a byte. */
export function textOf(secret: Secret): string {
  return bytesOf(secret).toString("latin1");
}

/** A secret of text. */
export function secretOf(text: string): Secret {
  return SecretClass.take(utf8(text));
}
