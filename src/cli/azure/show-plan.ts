import type { Action, ResourceChange, ResourceWords } from "../../provision/azure/deploy/index.ts";
import { printable } from "../output/printable.ts";
import type { Style } from "../output/style.ts";

const MARKS: Readonly<Record<Action, string>> = {
  create: "+",
  modify: "~",
  delete: "-",
  release: "o",
  unknown: "?",
};

const WORDS: Readonly<Record<Action, string>> = {
  create: "to make",
  modify: "to change",
  delete: "to delete",
  release: "to let go of (kept, no longer managed)",
  unknown: "not known before",
};

const LONGEST_VALUE = 80;

/** How a plan is shown: `wordsOf` is what `resourceWords` gives of the section. */
export type PlanView = {
  readonly style: Style;
  readonly wordsOf: (id: string) => ResourceWords | null;
};

/** A plan as lines for people: one a resource, and below it what changes. */
export function planText(
  plan: {
    readonly resourceGroup: string;
    readonly groupExists: boolean;
    readonly changes: readonly ResourceChange[];
  },
  view: PlanView,
): string {
  const { style } = view;
  const { resourceGroup, groupExists, changes } = plan;
  const group = groupExists ? [] : [`${style.good("+")} resource group ${resourceGroup}`];
  const lines = changes.flatMap((one) => changeLines(one, view));
  const counts = countText(changes, groupExists);
  const note = groupExists
    ? []
    : ["", style.dim("The group is not there yet: Azure checks the rest when it is applied.")];
  return [...group, ...lines, ...note, "", counts, ""].join("\n").replace(/^\n+/, "");
}

/** `3 to make, 1 to change`, or that nothing is to be done. */
export function countText(changes: readonly ResourceChange[], groupExists: boolean): string {
  const counts = (Object.keys(WORDS) as readonly Action[]).flatMap((action) => {
    const count =
      changes.filter((one) => one.action === action).length +
      (action === "create" && !groupExists ? 1 : 0);
    return count === 0 ? [] : [`${count} ${WORDS[action]}`];
  });
  return counts.length === 0
    ? "Nothing is to be done: Azure has what ppml.yaml says."
    : counts.join(", ");
}

function changeLines(one: ResourceChange, { style, wordsOf }: PlanView): readonly string[] {
  const paint = { create: style.good, modify: style.warn, delete: style.bad }[
    one.action as "create" | "modify" | "delete"
  ] as ((text: string) => string) | undefined;
  const mark = (paint ?? style.dim)(MARKS[one.action]);
  const title = `${mark} ${style.dim(printable(one.type))} ${printable(wordsOf(one.id)?.words ?? one.name)}`;
  const reason = one.reason === undefined ? [] : [`    ${printable(one.reason)}`];
  const properties = one.properties.map(
    ({ path, before, after }) =>
      `    ${printable(path)}: ${valueText(before)} -> ${valueText(after)}`,
  );
  return [title, ...reason, ...properties];
}

function valueText(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return printable(text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE - 3)}...`);
}
