import { isPpmlError, PpmlError } from "../../../base/index.ts";

/**
 * What `parse` gives. Where it refuses the form, the error begins with the part's name: several parts have
 * the same form, and a person has to know which one to fetch again.
 * @throws attest.invalid, and what `parse` throws else
 */
export function parsePart<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!isPpmlError(cause, "attest.invalid")) throw cause;
    const { message, detail } = cause;
    throw new PpmlError("attest.invalid", `${what}: ${message}`, { cause, detail });
  }
}
