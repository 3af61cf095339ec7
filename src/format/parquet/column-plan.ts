import { PpmlError } from "../../base/error.ts";
import type { Schema, SchemaNode } from "./schema.ts";

/**
 * Gives each leaf the index of the column group that names it, or null for the footer key.
 * A name is a dotted path and covers all leaves below it.
 * @param groups for each group, its names.
 * @throws seal.plan where a name is no column, is ambiguous, or is in two groups
 */
export function planColumns(
  schema: Schema,
  groups: readonly (readonly string[])[],
): readonly (number | null)[] {
  const nodes = nodesByPath(schema.root);
  const plan: (number | null)[] = schema.leaves.map(() => null);
  for (const [group, names] of groups.entries()) {
    if (names.length === 0) throw badPlan(`column group ${group} names no column`, {});
    for (const name of names) {
      const node = findNode(nodes, name);
      for (let leaf = node.firstLeaf; leaf < node.endLeaf; leaf += 1) {
        if (plan[leaf] !== null)
          throw badPlan(`column ${name} is named twice: name each column in one group`, { name });
        plan[leaf] = group;
      }
    }
  }
  return plan;
}

/**
 * The leaves that `names` (dotted paths of leaves or of nodes above them) cover, in file order.
 * @throws format.invalid where a name is no column or is ambiguous
 */
export function selectLeaves(schema: Schema, names: readonly string[] | "all"): Set<number> {
  if (names === "all") return new Set(schema.leaves.keys());
  const nodes = nodesByPath(schema.root);
  const chosen = new Set<number>();
  for (const name of names) {
    const found = nodes.get(name) ?? [];
    const [node] = found;
    if (node === undefined || found.length > 1)
      throw new PpmlError("format.invalid", notOne(name, found.length), { detail: { name } });
    for (let leaf = node.firstLeaf; leaf < node.endLeaf; leaf += 1) chosen.add(leaf);
  }
  return chosen;
}

function findNode(nodes: ReadonlyMap<string, readonly SchemaNode[]>, name: string): SchemaNode {
  const found = nodes.get(name) ?? [];
  const [node] = found;
  if (node === undefined || found.length > 1) throw badPlan(notOne(name, found.length), { name });
  return node;
}

// A dot may be part of a name too, so that two nodes may have one dotted path.
function nodesByPath(root: SchemaNode): Map<string, SchemaNode[]> {
  const nodes = new Map<string, SchemaNode[]>();
  const open = [...root.children];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const dotted = node.path.join(".");
    const same = nodes.get(dotted);
    if (same === undefined) nodes.set(dotted, [node]);
    else same.push(node);
    for (const child of node.children) open.push(child);
  }
  return nodes;
}

function notOne(name: string, found: number): string {
  return found === 0
    ? `the table has no column ${name}: name a top-level column or a dotted path`
    : `${found} columns of the table are called ${name}: rename one`;
}

function badPlan(message: string, detail: Readonly<Record<string, unknown>>): PpmlError {
  return new PpmlError("seal.plan", message, { detail });
}
