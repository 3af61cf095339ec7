import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { displayWidth, padDisplay } from "./width.ts";

/** A column of a table; `paint` colours a cell after it was padded. */
export type Column = {
  readonly title: string;
  readonly align?: "left" | "right";
  readonly paint?: (cell: string) => string;
};

/**
 * Aligned columns with a head line, two spaces between them, no trailing spaces.
 * Cells are made printable here; each row has as many cells as there are columns.
 */
export function renderTable(options: {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  readonly style: Style;
}): string {
  const { columns, style } = options;
  const rows = options.rows.map((row) => row.map(printable));
  const widths = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...rows.map((row) => displayWidth(row[index] ?? ""))),
  );
  const line = (cells: readonly string[], paint: (cell: string, column: Column) => string) =>
    columns
      .map((column, index) => {
        const cell = cells[index] ?? "";
        const isLast = index === columns.length - 1 && column.align !== "right";
        const padded = isLast ? cell : padDisplay(cell, widths[index] ?? 0, column.align);
        return paint(padded, column);
      })
      .join("  ")
      .trimEnd();
  const head = line(
    columns.map((column) => column.title),
    (cell) => (cell === "" ? cell : style.bold(cell)),
  );
  const body = rows.map((row) => line(row, (cell, column) => column.paint?.(cell) ?? cell));
  return `${[head, ...body].join("\n")}\n`;
}

/** Lines `name  value`, the names aligned; for showing one thing. */
export function renderFields(
  fields: readonly (readonly [name: string, value: string])[],
  style: Style,
): string {
  const width = Math.max(...fields.map(([name]) => displayWidth(name)));
  return fields
    .map(([name, value]) => `${style.dim(padDisplay(name, width))}  ${printable(value)}\n`)
    .join("");
}
