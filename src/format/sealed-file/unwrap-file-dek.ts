import { fromBase64Url } from "../../base/index.ts";
import type { Secret } from "../../base/index.ts";
import { checkDekCommitment, unwrapDek } from "./dek-wrap.ts";
import type { SealedFileHeader } from "./header.ts";

/**
 * Unwraps the DEK of a parsed header under its local key, and checks the commitment.
 * @throws open.not_authentic
 */
export function unwrapFileDek(header: SealedFileHeader, localKey: Secret): Secret {
  const { fileId, datasetId, wrap } = header;
  const dek = unwrapDek(fromBase64Url(wrap.dek.wrapped), localKey, {
    localKeyId: fromBase64Url(wrap.dek.keyId),
    fileId,
    datasetId,
  });
  try {
    checkDekCommitment(dek, header);
  } catch (error) {
    dek[Symbol.dispose]();
    throw error;
  }
  return dek;
}
