/** One row of the table: a figure of ppml, what it is measured against, and the goal. */
export type Figure = {
  readonly what: string;
  readonly ours: string;
  /** The other side of the pair; "" where the goal is a plain number. */
  readonly beside: string;
  /** Ours divided by the other side's: of times, below 1 is better; of speeds, above 1. */
  readonly ratio: number | null;
  readonly goal: string;
  /** Null where there is no goal. */
  readonly met: boolean | null;
};

/** A bound that a number must keep. */
export type Bound = { readonly atMost: number } | { readonly atLeast: number };

/** A pair, both sides in one unit. */
export function pair(options: {
  readonly what: string;
  readonly ours: number;
  readonly other: { readonly name: string; readonly value: number };
  readonly unit: string;
  readonly goal?: Bound;
}): Figure {
  const { what, ours, other, unit, goal } = options;
  const ratio = ours / other.value;
  return {
    what,
    ours: quantity(ours, unit),
    beside: `${other.name} ${quantity(other.value, unit)}`,
    ratio,
    goal: goal === undefined ? "" : boundText(goal, ""),
    met: goal === undefined ? null : keeps(ratio, goal),
  };
}

/** A number that has a goal of its own; `beside` is for information. */
export function single(options: {
  readonly what: string;
  readonly ours: number;
  readonly unit: string;
  readonly goal?: Bound;
  readonly other?: { readonly name: string; readonly value: number };
}): Figure {
  const { what, ours, unit, goal, other } = options;
  return {
    what,
    ours: quantity(ours, unit),
    beside: other === undefined ? "" : `${other.name} ${quantity(other.value, unit)}`,
    ratio: other === undefined ? null : ours / other.value,
    goal: goal === undefined ? "" : boundText(goal, unit),
    met: goal === undefined ? null : keeps(ours, goal),
  };
}

/** The figures as a Markdown table with columns of even width. */
export function formatTable(figures: readonly Figure[]): string {
  const head = ["figure", "ppml", "beside", "ratio", "goal", "met"];
  const rows = figures.map((figure) => [
    figure.what,
    figure.ours,
    figure.beside,
    figure.ratio === null ? "" : figure.ratio.toFixed(2),
    figure.goal,
    figure.met === null ? "" : figure.met ? "yes" : "no",
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

function keeps(value: number, bound: Bound): boolean {
  return "atMost" in bound ? value <= bound.atMost : value >= bound.atLeast;
}

function boundText(bound: Bound, unit: string): string {
  const [sign, value] = "atMost" in bound ? ["<=", bound.atMost] : [">=", bound.atLeast];
  return `${sign} ${value}${unit === "" ? "" : ` ${unit}`}`;
}

function quantity(value: number, unit: string): string {
  return `${value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0)} ${unit}`;
}
