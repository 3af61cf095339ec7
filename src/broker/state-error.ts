import { dirname } from "node:path";
import { PpmlError } from "../base/index.ts";

/** SQLite's primary result codes (https://sqlite.org/rescode.html). */
const SQLITE_BUSY = new Set([5, 6]);
/** READONLY, IOERR, FULL, CANTOPEN, AUTH: of the place, not of what is in the file. */
const SQLITE_PLACE = new Set([8, 10, 13, 14, 23]);
const ERRNO_PLACE = new Set(["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EIO", "EMFILE"]);

/**
 * The error of a broker's state that cannot be used as it is.
 * @param path the file
 * @param more.remedy what to do; otherwise what the cause suggests, which for a file that is missing or
 * is not as this program wrote it is a backup
 */
export function stateError(
  path: string,
  what: string,
  more: { readonly cause?: unknown; readonly remedy?: string } = {},
): PpmlError {
  const { cause, remedy = remedyFor(path, cause) } = more;
  return new PpmlError("broker.state", `${path}: ${what}`, { detail: { path, remedy }, cause });
}

/** How a state's folder comes back; `ppml init` does not make it in a project that is there. */
export function restoreRemedy(dir: string): string {
  return `restore the folder ${dir} as a whole from a backup of the same time as the vault; without one make a new project (ppml init in another folder), and seal again`;
}

/** That the cause is the disk or a right, not what is in the file. */
export function isOfPlace(cause: unknown): boolean {
  return matches(cause, { sqlite: SQLITE_PLACE, errno: ERRNO_PLACE });
}

function remedyFor(path: string, cause: unknown): string {
  const dir = dirname(path);
  if (matches(cause, { sqlite: SQLITE_BUSY, errno: new Set() }))
    return "another process holds it: wait until that is done, then run the command again";
  if (isOfPlace(cause))
    return `make room on the disk, or give yourself the right to write in ${dir}, then run the command again`;
  return restoreRemedy(dir);
}

function matches(
  cause: unknown,
  codes: { readonly sqlite: ReadonlySet<number>; readonly errno: ReadonlySet<string> },
): boolean {
  if (!(cause instanceof Error)) return false;
  // The low byte of an extended result code is the primary one.
  if ("errcode" in cause && typeof cause.errcode === "number")
    return codes.sqlite.has(cause.errcode & 0xff);
  return "code" in cause && typeof cause.code === "string" && codes.errno.has(cause.code);
}
