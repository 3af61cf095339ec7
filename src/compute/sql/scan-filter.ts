/** A comparison of a column with a constant, as the engine's plan prints it. */
export type Comparison = {
  readonly column: string;
  readonly operator: "=" | "<" | "<=" | ">" | ">=";
  /** The constant as SQL: a number, or a quoted text with its type. */
  readonly constant: string;
};

const CONSTANT = /^(?:-?\d+(?:\.\d+)?|'(?:[^']|'')*'::[A-Z_0-9(), ]+)$/;
const OPERATORS = [">=", "<=", "=", ">", "<"] as const;

/**
 * Reads the comparisons out of a scan's filter text, such as `d>='2001-02-01'::DATE AND x<5`.
 * Whatever is not of that form is left out: fewer comparisons only mean that more is opened.
 */
export function parseScanFilter(text: string, columns: readonly string[]): readonly Comparison[] {
  return splitConjuncts(text).flatMap((conjunct) => {
    const comparison = parseComparison(conjunct.trim(), columns);
    return comparison === null ? [] : [comparison];
  });
}

function parseComparison(text: string, columns: readonly string[]): Comparison | null {
  for (const column of columns) {
    if (!text.startsWith(column)) continue;
    const rest = text.slice(column.length);
    const operator = OPERATORS.find((candidate) => rest.startsWith(candidate));
    if (operator === undefined) continue;
    const constant = rest.slice(operator.length);
    if (CONSTANT.test(constant)) return { column, operator, constant };
  }
  return null;
}

/** Splits at " AND " outside quotes; text with OR in it is no conjunction and gives nothing. */
function splitConjuncts(text: string): readonly string[] {
  const parts: string[] = [];
  let start = 0;
  let inQuotes = false;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "'") inQuotes = !inQuotes;
    if (inQuotes) continue;
    if (text.startsWith(" OR ", at)) return [];
    if (text.startsWith(" AND ", at)) {
      parts.push(text.slice(start, at));
      start = at + 5;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
