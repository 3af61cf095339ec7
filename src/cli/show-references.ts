import type { ReferenceValues } from "../attest/index.ts";
import type { Style } from "./output/style.ts";
import { renderTable } from "./output/table.ts";

/** The sets of a file of reference values, one line a value. */
export function describeReferences({ name, version, sets }: ReferenceValues, style: Style): string {
  const rows = sets.flatMap(({ label, state, expiresAt, values }) =>
    Object.entries(values).map(([claim, value], index) =>
      index === 0
        ? [label, state, expiresAt ?? "-", claim, String(value)]
        : ["", "", "", claim, String(value)],
    ),
  );
  return `${name}, version ${version}\n${renderTable({
    columns: [
      { title: "label" },
      { title: "state" },
      { title: "expires" },
      { title: "claim" },
      { title: "value" },
    ],
    rows,
    style,
  })}`;
}
