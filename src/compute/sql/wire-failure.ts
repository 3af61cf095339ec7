import { ERROR_CODES, isPpmlError, PpmlError } from "../../base/index.ts";
import type { ErrorCode } from "../../base/index.ts";
import { parseJson } from "../../format/jcs.ts";
import { parseWith } from "../../format/schema.ts";
import { failureSchema } from "./task.ts";

/** A failure as it crosses the channel between launcher and worker. */
export type WireFailure = {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail: Readonly<Record<string, unknown>>;
};

/** PpmlErrors cross whole; of any other error only its name, for its message may quote data. */
export function wireFailure(error: unknown): WireFailure {
  return isPpmlError(error)
    ? { code: error.code, message: error.message, detail: error.detail }
    : {
        code: "base.internal",
        message: `unexpected ${error instanceof Error ? error.name : typeof error} in the worker`,
        detail: {},
      };
}

/** The PpmlError of a `failure` frame's payload. */
export function failureOf(payload: Uint8Array): PpmlError {
  const { code, message, detail } = parseWith(failureSchema, parseJson(payload, "failure"), {
    what: "failure",
    code: "compute.worker",
  });
  return isErrorCode(code)
    ? new PpmlError(code, message, { detail })
    : new PpmlError("compute.worker", message, { detail });
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
