import { createHash } from "node:crypto";
import type { ByteSource } from "../../../src/base/byte-source.ts";
import { concatBytes, utf8 } from "../../../src/base/bytes.ts";
import { PpmlError } from "../../../src/base/error.ts";
import { Secret } from "../../../src/base/secret.ts";
import {
  decryptTable,
  type DecryptTableOptions,
  type KeyFor,
  openFooter,
  readSealedFooter,
  type SealedFooter,
  type SealedTable,
  sealParquet,
  type SealParquetOptions,
  type TableFooter,
  type TableKey,
} from "../../../src/format/parquet/index.ts";

/** Bytes as a source that refuses reads outside itself. */
export function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.byteLength,
    read: (offset, length) =>
      offset < 0 || length < 0 || offset + length > bytes.byteLength
        ? Promise.reject(new RangeError(`read of ${length} at ${offset} of ${bytes.byteLength}`))
        : Promise.resolve(bytes.subarray(offset, offset + length)),
  };
}

/** A key that its name determines; the key metadata is the name. */
export function keyOf(name: string): TableKey {
  return { dek: Secret.take(dekOf(name)), keyMetadata: utf8(name) };
}

function dekOf(name: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(`test dek ${name}`).digest());
}

/** Knows the keys of these names only; without names, all. */
export function keysOf(...names: readonly string[]): KeyFor {
  return (keyMetadata) => {
    const name = Buffer.from(keyMetadata ?? new Uint8Array(0)).toString();
    return names.length > 0 && !names.includes(name) ? null : keyOf(name).dek;
  };
}

/** Seals `plain`; `groups` are the columns of each group by the group's key name. */
export async function sealBytes(
  plain: Uint8Array,
  groups: Readonly<Record<string, readonly string[]>> = {},
  options: Partial<SealParquetOptions> = {},
): Promise<{ readonly bytes: Uint8Array; readonly table: SealedTable }> {
  const chunks: Uint8Array[] = [];
  const sealing = sealParquet({
    source: sourceOf(plain),
    footerKey: keyOf("footer"),
    columnKeys: Object.entries(groups).map(([name, columns]) =>
      Object.assign({ columns }, keyOf(name)),
    ),
    ...options,
  });
  for (;;) {
    const step = await sealing.next();
    if (step.done === true) return { bytes: concatBytes(...chunks), table: step.value };
    chunks.push(step.value);
  }
}

/** The footer of an encrypted file. */
export async function footerOf(bytes: Uint8Array): Promise<SealedFooter> {
  const footer = await readSealedFooter(sourceOf(bytes));
  if (footer.kind === "plaintext") throw new PpmlError("open.plaintext", "the file is plain");
  return footer;
}

/** Opens a footer with `keyFor`. */
export async function openBytes(
  bytes: Uint8Array,
  keyFor: KeyFor = keysOf(),
): Promise<TableFooter> {
  return openFooter(await footerOf(bytes), { keyFor });
}

/** Opens columns of a sealed file to the bytes of a plain one. */
export async function decryptBytes(
  bytes: Uint8Array,
  options: Partial<DecryptTableOptions> & { readonly keyFor?: KeyFor } = {},
): Promise<Uint8Array> {
  const { keyFor = keysOf(), ...rest } = options;
  const chunks: Uint8Array[] = [];
  await decryptTable({
    source: sourceOf(bytes),
    footer: options.footer ?? (await openBytes(bytes, keyFor)),
    columns: "all",
    unauthenticated: "refuse",
    write: (chunk) => void chunks.push(chunk.slice()),
    ...rest,
  });
  return concatBytes(...chunks);
}
