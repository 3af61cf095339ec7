// Tink's AES256-GCM-HKDF-1MB written a second time from its specification, whole messages only and
// with none of our code: what both agree on is the wire format.
// https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";

const SEGMENT = 1024 * 1024;

type Message = { readonly key: Uint8Array; readonly associatedData: Uint8Array };

/** Encrypts a whole message. */
export function tinkEncrypt(
  message: Message & {
    readonly plaintext: Uint8Array;
    readonly salt: Uint8Array;
    readonly prefix: Uint8Array;
  },
): Uint8Array {
  const { plaintext, salt, prefix } = message;
  const key = Buffer.from(hkdfSync("sha256", message.key, salt, message.associatedData, 32));
  const output: Uint8Array[] = [Buffer.from([40]), salt, prefix];
  const segments = split(plaintext, SEGMENT - 16 - 40, SEGMENT - 16);
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    const cipher = createCipheriv("aes-256-gcm", key, nonceOf(prefix, index, last));
    output.push(cipher.update(segment), cipher.final(), cipher.getAuthTag());
  }
  return new Uint8Array(Buffer.concat(output));
}

/** Decrypts a whole message; throws where it is not authentic. */
export function tinkDecrypt(message: Message & { readonly ciphertext: Uint8Array }): Uint8Array {
  const { ciphertext } = message;
  if (ciphertext[0] !== 40) throw new Error("header");
  const salt = ciphertext.subarray(1, 33);
  const prefix = ciphertext.subarray(33, 40);
  const key = Buffer.from(hkdfSync("sha256", message.key, salt, message.associatedData, 32));
  const segments = split(ciphertext.subarray(40), SEGMENT - 40, SEGMENT);
  const output = segments.map((segment, index) => {
    const nonce = nonceOf(prefix, index, index === segments.length - 1);
    const decipher = createDecipheriv("aes-256-gcm", key, nonce);
    decipher.setAuthTag(segment.subarray(-16));
    return Buffer.concat([decipher.update(segment.subarray(0, -16)), decipher.final()]);
  });
  return new Uint8Array(Buffer.concat(output));
}

function split(bytes: Uint8Array, first: number, other: number): Uint8Array[] {
  const parts = [bytes.subarray(0, first)];
  for (let at = first; at < bytes.byteLength; at += other)
    parts.push(bytes.subarray(at, at + other));
  return parts;
}

function nonceOf(prefix: Uint8Array, index: number, last: boolean): Uint8Array {
  const counter = Buffer.alloc(4);
  counter.writeUInt32BE(index);
  return Buffer.concat([prefix, counter, Buffer.from([last ? 1 : 0])]);
}
