import { asPpmlError, type ErrorCode } from "../../base/index.ts";
import { printableLines } from "./printable.ts";
import type { Style } from "./style.ts";

/** An error as the command line shows it: one code, one message, facts. */
export type ErrorReport = {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** Only with PPML_DEBUG: where it was thrown. */
  readonly stack?: string;
};

/**
 * Turns whatever was thrown into a report. What is neither a PpmlError nor a refusal of the system is
 * a fault of ours (`base.internal`); its stack is told only where the user asked for it.
 */
export function reportError(error: unknown, options: { readonly isDebug: boolean }): ErrorReport {
  const stack = options.isDebug && error instanceof Error ? { stack: stackOf(error) } : {};
  const known = asPpmlError(error);
  if (known !== null)
    return { code: known.code, message: known.message, detail: known.detail, ...stack };
  const message = error instanceof Error ? error.message : String(error);
  const hint = options.isDebug ? "" : " (run again with PPML_DEBUG=1 to see where)";
  return { code: "base.internal", message: `unexpected: ${message}${hint}`, detail: {}, ...stack };
}

/** The report as lines for stderr. */
export function renderError(report: ErrorReport, style: Style): string {
  const { code, message, detail, stack } = report;
  const lines = [
    `${style.bad("error:")} ${printableLines(message)}`,
    `${style.dim("code: ")} ${code} ${style.dim("(docs/errors.md)")}`,
  ];
  if (typeof detail["remedy"] === "string")
    lines.push(`${style.dim("try:  ")} ${printableLines(detail["remedy"])}`);
  if (stack !== undefined) lines.push(style.dim(printableLines(stack)));
  return `${lines.join("\n")}\n`;
}

/** The report as the JSON document of `--json`. */
export function errorJson(report: ErrorReport): string {
  const { code, message, detail } = report;
  return toJson({ error: { code, message, detail } });
}

/** One JSON document, indented by two, with a line end; a u64 becomes text, bytes become hex. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(
    value,
    (_, member: unknown) => {
      if (typeof member === "bigint") return member.toString();
      if (member instanceof Uint8Array) return Buffer.from(member).toString("hex");
      return member;
    },
    2,
  );
  return `${text}\n`;
}

function stackOf(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by: ${stackOf(error.cause)}` : own;
}
