import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { test } from "node:test";

/** Which stage may import which: the table of docs/architecture.md. Every stage may import itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  base: [],
  azure: ["base"],
  format: ["base"],
  store: ["base", "azure"],
  key: ["base", "format", "azure"],
  attest: ["base", "format"],
  seal: ["base", "format", "key", "store"],
  release: ["base", "format", "key", "attest"],
  open: ["base", "format", "store"],
  receipt: ["base", "format", "attest"],
  compute: ["base", "format", "seal", "open"],
  launch: ["base", "format", "store", "attest", "seal", "open", "compute", "receipt"],
  broker: ["base", "format", "key", "store", "attest", "release", "receipt"],
  provision: ["base", "azure", "format", "key", "attest"],
  twin: ["base", "format", "attest"],
  cli: [
    "base",
    "azure",
    "format",
    "store",
    "key",
    "attest",
    "seal",
    "release",
    "open",
    "receipt",
    "compute",
    "launch",
    "broker",
    "provision",
    "twin",
  ],
};

/** Edges that are statements of security: not even through another stage. */
const NEVER_REACHES: readonly (readonly [from: string, to: string])[] = [
  ["seal", "release"],
  ["open", "attest"],
  ["open", "key"],
  ["attest", "key"],
  ["broker", "open"],
  ["broker", "compute"],
  ["broker", "launch"],
];

const MAX_LINES = 400;

type Source = {
  readonly path: string;
  readonly stage: string;
  readonly imports: readonly string[];
};

function loadSources(): Map<string, Source> {
  const sources = new Map<string, Source>();
  for (const path of globSync("src/**/*.ts")) {
    const text = readFileSync(path, "utf8");
    const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) =>
      normalize(join(dirname(path), match[1] ?? "")),
    );
    sources.set(path, { path, stage: path.split(sep)[1] ?? "", imports });
  }
  return sources;
}

function reachable(sources: Map<string, Source>, from: string): Set<string> {
  const seen = new Set<string>();
  const queue = [from];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    queue.push(...(sources.get(path)?.imports ?? []));
  }
  return seen;
}

const sources = loadSources();
const stages = [...new Set([...sources.values()].map((source) => source.stage))].filter(
  (stage) => !stage.endsWith(".ts"),
);

test("every folder of src is a stage of the table", () => {
  for (const stage of stages) assert.ok(stage in ALLOWED, `src/${stage} is not in the table`);
});

test("a stage imports only what the table allows", () => {
  for (const source of sources.values())
    for (const target of source.imports) {
      const to = sources.get(target)?.stage;
      assert.ok(to !== undefined, `${source.path} imports ${target}, which does not exist`);
      if (source.stage === to || source.stage.endsWith(".ts")) continue;
      assert.ok(
        ALLOWED[source.stage]?.includes(to),
        `${source.path} imports ${target}: ${source.stage} may not import ${to}`,
      );
    }
});

test("the edges that security forbids are not reached through other stages either", () => {
  for (const source of sources.values())
    for (const [from, to] of NEVER_REACHES) {
      if (source.stage !== from) continue;
      const hit = [...reachable(sources, source.path)].find(
        (path) => sources.get(path)?.stage === to,
      );
      assert.equal(hit, undefined, `${source.path} reaches ${hit ?? ""}`);
    }
});

test("every stage has an index.ts, and no file has a default export", () => {
  for (const stage of stages)
    if (stage !== "cli" && stage !== "compute")
      assert.ok(sources.has(join("src", stage, "index.ts")), `src/${stage}/index.ts is missing`);
  for (const path of sources.keys())
    assert.doesNotMatch(readFileSync(path, "utf8"), /^export default/m, path);
});

test("file names are kebab-case, none is a catch-all, none is longer than 400 lines", () => {
  for (const path of [...sources.keys(), ...globSync("{test,bench,tools}/**/*.ts")]) {
    const name = path.split(sep).at(-1) ?? "";
    assert.match(name, /^[a-z0-9-]+(?:(?:\.azure)?\.test)?\.ts$/, path);
    assert.doesNotMatch(name, /^(?:utils?|helpers?|common|manager|misc)\.ts$/, path);
    const lines = readFileSync(path, "utf8").split("\n").length;
    assert.ok(lines <= MAX_LINES + 1, `${path} has ${lines} lines`);
  }
});

test("nothing is left to do in the sources", () => {
  // Spelled apart, so that this file does not find itself.
  const parts = ["TO DO", "FIX ME", "XX X", "HA CK"].map((word) => word.replace(" ", ""));
  const words = new RegExp(`\\b(?:${parts.join("|")})\\b`);
  for (const path of globSync("{src,test,bench,tools,docs}/**/*.{ts,md,mjs}"))
    assert.doesNotMatch(readFileSync(path, "utf8"), words, path);
});

test("no file imports itself through others, types included", () => {
  for (const source of sources.values())
    for (const target of source.imports)
      assert.ok(
        !reachable(sources, target).has(source.path),
        `${source.path} imports ${target}, which leads back to it`,
      );
});
