import { PpmlError } from "../base/index.ts";

/**
 * Compares a stored file's length with the manifest before a byte of it is used.
 * @throws open.manifest
 */
export function checkLength(
  file: { readonly name: string; readonly length: number },
  storedLength: number,
): void {
  if (storedLength !== file.length)
    throw new PpmlError(
      "open.manifest",
      `${file.name} has ${storedLength} bytes, the manifest says ${file.length}: it was cut, extended or replaced`,
    );
}
