import { utf8 } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import { LIMITS } from "./limits.ts";
import { writeU32 } from "./module-cipher.ts";
import { binaryField, boolField, structField, type ThriftStruct } from "./thrift.ts";
import { binary, encodeStruct, struct } from "./thrift-writer.ts";

/** Magic of files with an encrypted footer, at both ends. @see Encryption.md section 5.4 */
export const MAGIC_ENCRYPTED = utf8("PARE");
/** Magic of all other Parquet files, at both ends. */
export const MAGIC_PLAIN = utf8("PAR1");

/** Names of the two algorithms, as the standard has them. @see Encryption.md section 4.2 */
export type TableAlgorithm = "AES_GCM_V1" | "AES_GCM_CTR_V1";

/** What EncryptionAlgorithm says: readable without any key, authenticated by every module's AAD. */
export type TableCrypto = {
  readonly algorithm: TableAlgorithm;
  /** The AAD prefix that the file stores; null where it stores none. */
  readonly aadPrefix: Uint8Array | null;
  /** True where there is a prefix that the file does not store. */
  readonly aadPrefixNeeded: boolean;
  readonly fileUnique: Uint8Array;
};

/**
 * Reads the union EncryptionAlgorithm.
 * @throws format.invalid, format.unsupported, format.too_large
 */
export function parseTableCrypto(union: ThriftStruct | null): TableCrypto {
  if (union === null || union.size !== 1)
    throw new PpmlError("format.invalid", "the Parquet file names no one encryption algorithm");
  const gcm = structField(union, 1);
  const fields = gcm ?? structField(union, 2);
  if (fields === null)
    throw new PpmlError(
      "format.unsupported",
      "the Parquet file uses an encryption algorithm other than AES_GCM_V1 and AES_GCM_CTR_V1",
    );
  const aadPrefix = binaryField(fields, 1);
  const fileUnique = binaryField(fields, 2) ?? new Uint8Array(0);
  if ((aadPrefix?.byteLength ?? 0) > LIMITS.aadBytes || fileUnique.byteLength > LIMITS.aadBytes)
    throw new PpmlError(
      "format.too_large",
      `the AAD prefix or file id has over ${LIMITS.aadBytes} bytes`,
    );
  return {
    algorithm: gcm === null ? "AES_GCM_CTR_V1" : "AES_GCM_V1",
    aadPrefix: aadPrefix?.byteLength === 0 ? null : aadPrefix,
    aadPrefixNeeded: boolField(fields, 3) ?? false,
    fileUnique,
  };
}

/** Encodes FileCryptoMetaData for AES_GCM_V1 without AAD prefix. */
export function encodeFileCrypto(crypto: {
  readonly fileUnique: Uint8Array;
  readonly keyMetadata: Uint8Array;
}): Uint8Array {
  const gcm = struct(new Map([[2, binary(crypto.fileUnique)]]));
  return encodeStruct(
    new Map([
      [1, struct(new Map([[1, gcm]]))],
      [2, binary(crypto.keyMetadata)],
    ]),
  );
}

/** A footer with what ends the file: footer | length u32 LE | magic. */
export function encodeFileEnd(footer: Uint8Array, magic: Uint8Array): Uint8Array {
  if (footer.byteLength > LIMITS.footerBytes)
    throw new PpmlError(
      "format.too_large",
      `the footer would have ${footer.byteLength} bytes, at most ${LIMITS.footerBytes} fit: write fewer row groups a file`,
    );
  const end = new Uint8Array(footer.byteLength + 8);
  end.set(footer);
  writeU32(end, { at: footer.byteLength, value: footer.byteLength });
  end.set(magic, footer.byteLength + 4);
  return end;
}
