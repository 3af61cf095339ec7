export { type BoundedFile, readBoundedFile } from "./bounded-file.ts";
export type { ByteSource } from "./byte-source.ts";
export {
  concatBytes,
  copyPublicBytes,
  equalBytes,
  equalPublicBytes,
  fromBase64,
  fromBase64Url,
  fromHex,
  fromUtf8,
  sha256,
  sha384,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
} from "./bytes.ts";
export { ERROR_CODES, type ErrorCode } from "./error-codes.ts";
export { asPpmlError, type ErrorDetail, isPpmlError, PpmlError, unreachable } from "./error.ts";
export { tryFileLock } from "./file-lock.ts";
export { Secret } from "./secret.ts";
export { type Clock, fromTimestamp, toTimestamp, type UtcTime, utcTimeMs } from "./time.ts";
