import { createDecipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PpmlError } from "../../../src/base/error.ts";
import { Secret } from "../../../src/base/secret.ts";
import {
  type KeyFor,
  parseKeyMaterial,
  unwrapTableDek,
} from "../../../src/format/parquet/index.ts";

const FOLDER = join(import.meta.dirname, "../../vectors/parquet");
const range = (from: number, to: number): Uint8Array =>
  Uint8Array.from({ length: to - from }, (_, index) => from + index);
// Those of make.py beside the vectors.
const MASTER_KEYS: ReadonlyMap<string, Uint8Array> = new Map([
  ["footer", range(0, 16)],
  ["one", range(16, 32)],
  ["two", range(32, 64)],
]);

/** A Parquet file that pyarrow wrote. */
export function vector(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(FOLDER, `${name}.parquet`)));
}

/** Resolves the vectors' key metadata; only these master keys are at hand, all where none is named. */
export function masterKeys(...names: readonly string[]): KeyFor {
  return (keyMetadata) => {
    const material = parseKeyMaterial(keyMetadata ?? new Uint8Array(0));
    const { masterKeyId } = material;
    if (names.length > 0 && !names.includes(masterKeyId)) return null;
    return material.doubleWrapping
      ? unwrapTableDek(material, () => unwrap(material.wrappedLocalKey, masterKeyId))
      : unwrap(material.wrappedDek, masterKeyId);
  };
}

function unwrap(wrapped: string, name: string): Secret {
  const key = MASTER_KEYS.get(name) ?? new Uint8Array(16);
  const bytes = Buffer.from(wrapped, "base64");
  const algorithm = key.byteLength === 16 ? "aes-128-gcm" : "aes-256-gcm";
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, 12), { authTagLength: 16 });
  decipher.setAAD(Buffer.from(name));
  decipher.setAuthTag(bytes.subarray(-16));
  const plain = decipher.update(bytes.subarray(12, -16));
  try {
    decipher.final();
  } catch (cause) {
    throw new PpmlError("key.unwrap_failed", `not wrapped under master key ${name}`, { cause });
  }
  return Secret.copy(plain);
}
