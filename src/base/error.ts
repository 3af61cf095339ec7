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

/** Throws `base.internal`: for a state that the types rule out. */
export function unreachable(value: never): never {
  throw new PpmlError("base.internal", `unexpected value of type ${typeof value}`);
}
