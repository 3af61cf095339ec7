import type { ErrorCode } from "./error-codes.ts";

/** What an error may carry besides its message: plain facts for `--json`, never secret. */
export type ErrorDetail = Readonly<Record<string, unknown>>;

/**
 * The one error that ppml throws on purpose.
 * The message says what was expected, what came and what to do; `detail` holds the same as data.
 */
export class PpmlError extends Error {
  override readonly name = "PpmlError";
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly detail?: ErrorDetail; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail ?? {};
  }
}

/** Tells whether `error` is a PpmlError, of code `code` where one is given. */
export function isPpmlError(error: unknown, code?: ErrorCode): error is PpmlError {
  return error instanceof PpmlError && (code === undefined || error.code === code);
}

/**
 * Gives what was thrown as a PpmlError: what the operating system refused becomes `base.io` with a
 * remedy, for it is no fault of ours. Null for everything else, which is one.
 */
export function asPpmlError(error: unknown): PpmlError | null {
  if (isPpmlError(error)) return error;
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return null;
  const { code, syscall } = error;
  if (typeof code !== "string" || typeof syscall !== "string") return null;
  // Node's form is "ENOSPC: no space left on device, write '/path'".
  const what = error.message.replace(/^[A-Z0-9_]+: /, "");
  const remedy = SYSTEM_REMEDIES[code] ?? "check the path, its rights and the disk";
  return new PpmlError("base.io", `the system refused (${code}): ${what}`, {
    detail: { remedy, systemCode: code },
    cause: error,
  });
}

const SYSTEM_REMEDIES: Readonly<Partial<Record<string, string>>> = {
  EACCES: "give yourself the right, or choose another place",
  EDQUOT: "free some space: your quota is used up",
  EEXIST: "move away what lies there, or choose another place",
  EISDIR: "a folder lies where a file belongs: move it away",
  EMFILE: "raise the limit of open files: ulimit -n",
  ENOENT: "make the folder first, or correct the path",
  ENOSPC: "free some space, or choose another place",
  ENOTDIR: "a file lies where a folder belongs: move it away",
  EPERM: "give yourself the right, or choose another place",
  EROFS: "that file system is read-only: choose another place",
};

/** Throws `base.internal`: for a state that the types rule out. */
export function unreachable(value: never): never {
  throw new PpmlError("base.internal", `unexpected value of type ${typeof value}`);
}
