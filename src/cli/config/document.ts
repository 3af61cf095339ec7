import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from "yaml";
import { type Problem, problemsError } from "./problem.ts";

/** Largest ppml.yaml, in bytes of UTF-8. */
export const MAX_PROJECT_BYTES = 1024 * 1024;

/**
 * How many aliases there may be (each takes a search through the document), and how often they may
 * repeat their anchors' content in all: bounds a "billion laughs".
 */
const MAX_ALIASES = 100;

/** A place in a document: line and column from 1. */
export type Position = { readonly line: number; readonly column: number };

/** A step into a document: a map's key or a list's index. */
export type PathPart = string | number;

/** A parsed YAML document: its content, and where each part of it stands. */
export type YamlDocument = {
  readonly content: unknown;
  /** Where the value at `path` begins, or the nearest thing above it that is there. */
  readonly positionOf: (path: readonly PathPart[]) => Position;
  /** Where the last key of `path` stands. */
  readonly keyPositionOf: (path: readonly PathPart[]) => Position;
  /** Whether the document has a value at `path`. */
  readonly has: (path: readonly PathPart[]) => boolean;
};

/**
 * Parses YAML 1.2 (core schema) strictly: no duplicate keys, no unknown tags, one document.
 * @throws config.invalid naming line and column
 */
export function parseYaml(text: string, fileName: string): YamlDocument {
  const fail = (message: string) =>
    problemsError(fileName, [problemAt({ line: 1, column: 1 }, message)]);
  if (Buffer.byteLength(text) > MAX_PROJECT_BYTES) throw fail("expected at most 1 MiB");
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      strict: true,
      uniqueKeys: false, // the library's own check is quadratic: see findRefusedKeys
      version: "1.2",
      schema: "core",
      merge: false,
      stringKeys: true,
    });
    // The first only: the others mostly follow from it.
    const [broken] = [...document.errors, ...document.warnings];
    if (broken !== undefined)
      throw problemsError(fileName, [problemAt(at(broken.pos[0]), syntaxMessage(broken))]);
    if (countAliases(document) > MAX_ALIASES) throw fail(`expected at most ${MAX_ALIASES} aliases`);
    const refused = findRefusedKeys(document).map(([offset, message]) =>
      problemAt(at(offset), message),
    );
    if (refused.length > 0) throw problemsError(fileName, refused);
    const content: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    const find = (path: readonly PathPart[]) => findNode(document, path);
    const start = (offset: number | undefined) => at(offset ?? 0);
    return {
      content,
      positionOf: (path) => start(find(path).value?.range?.[0]),
      keyPositionOf: (path) => start((find(path).key ?? find(path).value)?.range?.[0]),
      has: (path) => find(path).isThere,
    };
  } catch (cause) {
    // The parser's own limits: too many aliases (ReferenceError), too deep (RangeError).
    if (cause instanceof ReferenceError) throw fail("expected fewer aliases");
    if (cause instanceof RangeError) throw fail("expected less nesting");
    throw cause;
  }
}

function problemAt({ line, column }: Position, message: string): Problem {
  return { line, column, path: "", message };
}

function syntaxMessage(error: { readonly code: string; readonly message: string }): string {
  if (error.message.includes("call stack")) return "expected less nesting";
  if (error.code === "MULTIPLE_DOCS") return "expected one document: remove the line ---";
  return error.message;
}

function countAliases(document: Parsed): number {
  let count = 0;
  visit(document, { Alias: () => void (count += 1) });
  return count;
}

/** Keys that stand twice in their map, and `__proto__`, which JavaScript would not keep as a key. */
function findRefusedKeys(document: Parsed): readonly (readonly [number, string])[] {
  const refused: [number, string][] = [];
  visit(document, {
    Map: (_, map) => {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        const offset = key.range?.[0] ?? 0;
        if (seen.has(name)) refused.push([offset, "this key is given twice"]);
        if (name === "__proto__") refused.push([offset, "this key is not allowed"]);
        seen.add(name);
      }
    },
  });
  return refused;
}

type Found = { readonly value?: Node; readonly key?: Node; readonly isThere: boolean };
type Parsed = ReturnType<typeof parseDocument>;

function findNode(document: Parsed, path: readonly PathPart[]): Found {
  let value: Node | undefined = document.contents ?? undefined;
  let key: Node | undefined;
  for (const part of path) {
    const next = step(document, value, part);
    if (next === undefined) return { ...withNodes(value, key), isThere: false };
    ({ value, key } = { value: next.value ?? value, key: next.key });
  }
  return { ...withNodes(value, key), isThere: true };
}

function withNodes(value: Node | undefined, key: Node | undefined) {
  return { ...(value === undefined ? {} : { value }), ...(key === undefined ? {} : { key }) };
}

function step(document: Parsed, node: Node | undefined, part: PathPart) {
  const target = isAlias(node) ? node.resolve(document) : node;
  if (isMap<Node, Node | null>(target))
    for (const pair of target.items)
      if (isScalar(pair.key) && String(pair.key.value) === String(part))
        return { key: pair.key, value: pair.value ?? pair.key };
  if (isSeq<Node>(target) && typeof part === "number") {
    const value = target.items[part];
    if (value !== undefined) return { key: value, value };
  }
  return undefined;
}
