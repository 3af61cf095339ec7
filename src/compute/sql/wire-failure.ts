import { ERROR_CODES, isPpmlError, PpmlError } from "../../base/index.ts";
import type { ErrorCode } from "../../base/index.ts";
import { parseJson } from "../../format/jcs.ts";

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

/** The PpmlError of a `failure` frame's payload; where that is none, the error says so. */
export function failureOf(payload: Uint8Array): PpmlError {
  // By hand: the worker starts without schemas.
  const failure = parseJson(payload, "failure");
  const { code, message, detail, ...more } = isRecord(failure) ? failure : {};
  const isWhole = typeof code === "string" && typeof message === "string" && isRecord(detail);
  if (!isWhole || Object.keys(more).length > 0)
    return new PpmlError("compute.worker", "a failure came that is not of the channel's form");
  return new PpmlError(isErrorCode(code) ? code : "compute.worker", message, { detail });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
