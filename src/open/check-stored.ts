import { PpmlError } from "../base/index.ts";
import type { ByteSource } from "../base/index.ts";
import type { ManifestFile } from "../format/manifest.ts";
import { hasSealedFileMagic } from "../format/sealed-file/header.ts";
import { checkLength } from "./check-length.ts";

const MAGIC_BYTES = 8;
const TABLE_MAGIC = "PARE";

/**
 * Compares a stored file with the manifest by its length and its first bytes, before any key is
 * used. What is in the clear where a sealed file should be has an error of its own.
 * @throws open.plaintext, open.manifest
 */
export async function checkStored(file: ManifestFile, source: ByteSource): Promise<void> {
  const start = await source.read(0, Math.min(source.size, MAGIC_BYTES));
  const isSealed =
    file.kind === "file"
      ? hasSealedFileMagic(start)
      : Buffer.from(start.subarray(0, 4)).toString("latin1") === TABLE_MAGIC;
  if (!isSealed)
    throw new PpmlError(
      "open.plaintext",
      `${file.name} is not sealed, the manifest lists a sealed ${file.kind}: it was replaced; put the sealed file back`,
    );
  checkLength(file, source.size);
}
