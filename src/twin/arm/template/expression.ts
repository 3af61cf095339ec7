import { invalidTemplate } from "../refusal.ts";

/** An expression of the template language, parsed. */
export type Expression =
  | { readonly kind: "literal"; readonly value: string | number }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: "member"; readonly of: Expression; readonly name: string }
  | { readonly kind: "index"; readonly of: Expression; readonly at: Expression };

type Token = { readonly kind: "text" | "number" | "name" | "mark"; readonly value: string };

const MAX_LENGTH = 24_576;
const MAX_DEPTH = 64;
const TOKEN = /\s*(?:'((?:[^']|'')*)'|(-?\d+)|([A-Za-z_][A-Za-z0-9_]*)|([()[\],.]))/y;

/** Whether a text of a template is an expression: `[...]`, and not `[[...`. */
export function isExpression(text: string): boolean {
  return text.startsWith("[") && text.endsWith("]") && !text.startsWith("[[");
}

/**
 * Parses `[...]`. @throws ArmRefusal InvalidTemplate
 * @see learn.microsoft.com/azure/azure-resource-manager/templates/template-expressions
 */
export function parseExpression(text: string): Expression {
  if (text.length > MAX_LENGTH) throw invalidTemplate(`an expression is longer than ${MAX_LENGTH}`);
  const tokens = tokenize(text.slice(1, -1), text);
  const parser = { tokens, at: 0, text };
  const expression = parsePostfix(parser, 0);
  if (parser.at < tokens.length) throw unreadable(text);
  return expression;
}

type Parser = { readonly tokens: readonly Token[]; at: number; readonly text: string };

function tokenize(source: string, text: string): readonly Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.trimEnd().length) {
    const match = TOKEN.exec(source);
    if (match === null) throw unreadable(text);
    const [, quoted, number, name, mark] = match;
    if (quoted !== undefined) tokens.push({ kind: "text", value: quoted.replaceAll("''", "'") });
    else if (number !== undefined) tokens.push({ kind: "number", value: number });
    else if (name !== undefined) tokens.push({ kind: "name", value: name });
    else tokens.push({ kind: "mark", value: mark ?? "" });
  }
  return tokens;
}

function parsePostfix(parser: Parser, depth: number): Expression {
  if (depth > MAX_DEPTH) throw unreadable(parser.text);
  let expression = parsePrimary(parser, depth);
  for (;;) {
    if (take(parser, ".")) {
      const name = parser.tokens[parser.at];
      if (name?.kind !== "name") throw unreadable(parser.text);
      parser.at += 1;
      expression = { kind: "member", of: expression, name: name.value };
    } else if (take(parser, "[")) {
      const at = parsePostfix(parser, depth + 1);
      expect(parser, "]");
      expression = { kind: "index", of: expression, at };
    } else return expression;
  }
}

function parsePrimary(parser: Parser, depth: number): Expression {
  const token = parser.tokens[parser.at];
  parser.at += 1;
  if (token?.kind === "text") return { kind: "literal", value: token.value };
  if (token?.kind === "number") return { kind: "literal", value: Number(token.value) };
  if (token?.kind !== "name") throw unreadable(parser.text);
  expect(parser, "(");
  const args: Expression[] = [];
  if (take(parser, ")")) return { kind: "call", name: token.value, args };
  do args.push(parsePostfix(parser, depth + 1));
  while (take(parser, ","));
  expect(parser, ")");
  return { kind: "call", name: token.value, args };
}

function take(parser: Parser, mark: string): boolean {
  const token = parser.tokens[parser.at];
  if (token?.kind !== "mark" || token.value !== mark) return false;
  parser.at += 1;
  return true;
}

function expect(parser: Parser, mark: string): void {
  if (!take(parser, mark)) throw unreadable(parser.text);
}

function unreadable(text: string): Error {
  return invalidTemplate(`Unable to parse language expression '${text.slice(0, 200)}'`);
}
