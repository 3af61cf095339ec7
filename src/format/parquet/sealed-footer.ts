import type { ByteSource } from "../../base/byte-source.ts";
import { equalBytes, sha256 } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import { MAGIC_ENCRYPTED, MAGIC_PLAIN, parseTableCrypto, type TableCrypto } from "./file-crypto.ts";
import { checkKeyMetadata } from "./file-metadata.ts";
import { LIMITS } from "./limits.ts";
import { readU32 } from "./module-cipher.ts";
import { binaryField, parseStruct, structField, type ThriftStruct } from "./thrift.ts";

type FooterBytes = {
  /** The footer as it stands, without its length and the magic after it. */
  readonly raw: Uint8Array;
  /** SHA-256 of `raw`. */
  readonly digest: Uint8Array;
  /** Offset of the footer: data ends there. */
  readonly offset: number;
};

/** A footer that names an encryption algorithm; nothing in it is authenticated yet. */
export type SealedFooter = FooterBytes & {
  /** `plaintext-footer`: readable by anybody and signed; only named columns are encrypted. */
  readonly kind: "encrypted-footer" | "plaintext-footer";
  readonly crypto: TableCrypto;
  /** Says how to get the footer's key; null where the writer gave nothing. */
  readonly keyMetadata: Uint8Array | null;
  /** Bytes of `raw` before the encrypted FileMetaData, or before the plaintext one's signature. */
  readonly headLength: number;
};

/** A Parquet file without any encryption. */
export type PlainFooter = FooterBytes & {
  readonly kind: "plaintext";
  readonly fields: ThriftStruct;
};

/**
 * Reads what a Parquet file shows without any key.
 * @throws format.invalid, format.too_large, format.unsupported
 * @see Encryption.md sections 5.4 and 5.5
 */
export async function readSealedFooter(source: ByteSource): Promise<SealedFooter | PlainFooter> {
  const footer = await readFooterBytes(source);
  const { raw, encrypted } = footer;
  const { fields, end } = parseStruct(raw, { start: 0, end: raw.byteLength });
  const bytes = { raw, digest: sha256(raw), offset: source.size - 8 - raw.byteLength };
  if (!encrypted && !fields.has(8)) return { kind: "plaintext", ...bytes, fields };
  const keyMetadata = binaryField(fields, encrypted ? 2 : 9);
  checkKeyMetadata(keyMetadata);
  return {
    kind: encrypted ? "encrypted-footer" : "plaintext-footer",
    ...bytes,
    crypto: parseTableCrypto(structField(fields, encrypted ? 1 : 8)),
    keyMetadata,
    headLength: end,
  };
}

async function readFooterBytes(
  source: ByteSource,
): Promise<{ readonly raw: Uint8Array; readonly encrypted: boolean }> {
  if (source.size < 12) throw invalid(`it has ${source.size} bytes, fewer than any Parquet file`);
  const head = await source.read(0, 4);
  const tail = await source.read(source.size - 8, 8);
  const magic = tail.subarray(4);
  const encrypted = equalBytes(magic, MAGIC_ENCRYPTED);
  if (!encrypted && !equalBytes(magic, MAGIC_PLAIN)) throw invalid("it does not end as one");
  if (!equalBytes(head, magic)) throw invalid("it does not begin as it ends");
  const length = readU32(tail, 0);
  if (length > source.size - 12)
    throw invalid(`its footer would have ${length} of its ${source.size} bytes`);
  if (length > LIMITS.footerBytes)
    throw new PpmlError(
      "format.too_large",
      `the footer has ${length} bytes, at most ${LIMITS.footerBytes} fit`,
    );
  return { raw: await source.read(source.size - 8 - length, length), encrypted };
}

function invalid(what: string): PpmlError {
  return new PpmlError("format.invalid", `the file is not a Parquet file: ${what}`);
}
