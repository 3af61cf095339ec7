import { isPpmlError, PpmlError } from "../base/index.ts";

/** Says of a file whose content is not what it should be which one it is, and what to do. */
export function namingFile(
  cause: unknown,
  file: { readonly path: string; readonly remedy: string },
): unknown {
  if (!isPpmlError(cause) || !cause.code.startsWith("format.")) return cause;
  const { path, remedy } = file;
  const message = cause.message.includes(path) ? cause.message : `${path}: ${cause.message}`;
  return new PpmlError(cause.code, message, {
    cause,
    detail: { ...cause.detail, file: path, remedy },
  });
}
