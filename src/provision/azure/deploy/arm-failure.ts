import type { ArmFailure } from "./arm-port.ts";

const MAX_DEPTH = 12;
const LONGEST_MESSAGE = 1000;

/**
 * Parses an error as ARM writes it, `{code, message, details: [...]}`; null where there is none. A
 * message may itself be the JSON of the error below: then that is read too. Messages are cut to
 * 1,000 characters, on one line.
 * @see Common Azure Resource Manager types, ErrorDetail
 */
export function parseFailure(value: unknown, depth = 0): ArmFailure | null {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return null;
  const text = (name: string): string => {
    const member: unknown = Reflect.get(value, name);
    return typeof member === "string" ? member : "";
  };
  const code = text("code");
  const message = text("message");
  if (code === "" && message === "") return null;
  const details: unknown = Reflect.get(value, "details");
  const listed = Array.isArray(details) ? (details as readonly unknown[]) : [];
  const inner = [...listed, ...nestedIn(message)].flatMap(
    (one) => parseFailure(one, depth + 1) ?? [],
  );
  return { code, message: oneLine(message), details: inner };
}

function nestedIn(message: string): readonly unknown[] {
  const start = message.indexOf("{");
  if (start < 0) return [];
  try {
    const json: unknown = JSON.parse(message.slice(start));
    if (typeof json !== "object" || json === null) return [];
    return [Reflect.get(json, "error") ?? json];
  } catch {
    return []; // a brace in plain text
  }
}

function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f]+/g, " ").slice(0, LONGEST_MESSAGE);
}
