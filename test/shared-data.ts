import { existsSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const SHARED = process.env["PPML_SHARED"] ?? join(ROOT, "..", "shared");

/**
 * A path under the data of others that lies beside the clone (`../shared`, or PPML_SHARED), or null
 * where it is missing. It is never copied into the repository.
 */
export function sharedPath(...parts: readonly string[]): string | null {
  const path = join(SHARED, ...parts);
  return existsSync(path) ? path : null;
}

/** The `skip` option of a test that needs `path`: says why it does not run. */
export function skipWithout(path: string | null): string | false {
  return path === null ? "../shared is not beside this clone: its vectors are not run" : false;
}
