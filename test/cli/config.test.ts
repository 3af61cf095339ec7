import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { isPpmlError, PpmlError } from "../../src/base/index.ts";
import { loadProject } from "../../src/cli/config/load.ts";
import { parseProject } from "../../src/cli/config/parse.ts";
import { emptyTemplate } from "../../src/cli/templates/empty.ts";
import { peopleTemplate } from "../../src/cli/templates/people.ts";
import { quickstartTemplate } from "../../src/cli/templates/quickstart.ts";
import { projectHead } from "../../src/cli/templates/template.ts";
import { temporaryFolder } from "./ppml.ts";

const AZURE_VAULT = 'expected "url: https://NAME.vault.azure.net" and no "path" with kind azure';
const GOOD = `version: 1
name: demo
mode: simulation
vault:
  kind: embedded
  path: .ppml/vault.db
  rootKeyFile: .ppml/root.key
broker: { state: .ppml/broker }
owner: { key: .ppml/owner.key }
simulation: { platform: .ppml/sim }
datasets:
  flights:
    source: data/flights.parquet
    store: sealed/flights
    kind: table
    groups:
      - { name: ordinary, kek: flights-ordinary }
      - { name: sensitive, kek: flights-sensitive, columns: [delay] }
  delays:
    store: sealed/delays
    groups: [{ name: all, kek: results }]
policies:
  analysis: { file: policies/analysis.json }
jobs:
  delays:
    engine: sql
    code: queries/delays.sql
    policy: analysis
    purpose: statistics
    inputs:
      flights: { dataset: flights, columns: [delay] }
    output: delays
    limits: { memoryMiB: 512 }
`;

const GROUPS = `groups:
      - { name: ordinary, kek: flights-ordinary }
      - { name: sensitive, kek: flights-sensitive, columns: [delay] }`;

/** A change to the good file, and the exact message. */
const WRONG: readonly (readonly [from: string, to: string, message: string])[] = [
  ["version: 1", "version: 2", "f:1:10: version: expected 1; came 2"],
  ["version: 1\n", "", 'f:1:1: missing key "version"'],
  [
    "name: demo",
    "nmae: demo",
    'f has 2 problems:\n  f:1:1: missing key "name"\n  f:2:1: nmae: unknown key: did you mean "name"?',
  ],
  [
    "name: demo",
    "name: Demo",
    `f:2:7: name: expected lower-case letters, digits, '-' or '_', at most 63; came "Demo"`,
  ],
  [
    "mode: simulation",
    "mode: simulatoin",
    'f:3:7: mode: expected "simulation" or "production"; came "simulatoin": did you mean "simulation"?',
  ],
  [
    "mode: simulation",
    "mode: production",
    "f:10:13: simulation: a production project has no simulated platform: remove it",
  ],
  [
    "simulation: { platform: .ppml/sim }\n",
    "",
    'f:3:7: mode: simulation needs a section "simulation: {platform: PATH}"',
  ],
  ["kind: embedded", "kind: aws", 'f:5:9: vault.kind: expected "embedded" or "azure"; came "aws"'],
  ["kind: embedded", "kind: azure", `f:5:3: vault: ${AZURE_VAULT}`],
  [
    "  rootKeyFile: .ppml/root.key\n",
    "",
    'f:5:3: vault: expected either "rootKeyFile: PATH" or "passphrase: prompt"',
  ],
  [
    "path: .ppml/vault.db",
    "path: ''",
    'f:6:9: vault.path: expected at least 1 characters; came ""',
  ],
  [
    "store: sealed/flights",
    "store: ../sealed",
    "f:14:12: datasets.flights.store: expected a path inside the project's folder; to leave it, give an absolute path",
  ],
  [
    "store: sealed/flights",
    "store: abfss://x@y/z",
    'f:14:12: datasets.flights.store: expected a host ACCOUNT.dfs.core.windows.net, the account in 3 to 24 lower-case letters and digits; came "y"',
  ],
  [
    "store: sealed/flights",
    "store: ./sealed/delays/",
    "f:20:12: datasets.delays.store: datasets.flights has the same store: give each its own",
  ],
  [
    "source: data/flights.parquet",
    "source: 7",
    "f:13:13: datasets.flights.source: expected text or a list of texts; came 7",
  ],
  [
    "source: data/flights.parquet",
    "source: [a, 7]",
    "f:13:17: datasets.flights.source[1]: expected text; came 7",
  ],
  [
    "kind: table",
    "kind: tabel",
    'f:15:11: datasets.flights.kind: expected "table" or "file" or "auto"; came "tabel": did you mean "table"?',
  ],
  [
    "kind: table",
    "kind: file",
    "f:18:61: datasets.flights.groups[1].columns: a dataset of kind file is sealed whole: no columns",
  ],
  [
    GROUPS,
    "groups: []",
    "f:16:13: datasets.flights.groups: expected at least 1 entries; came an empty list",
  ],
  [
    ", columns: [delay] }\n  del",
    " }\n  del",
    'f:17:7: datasets.flights.groups: exactly one group has no "columns" and takes all others: there are 2',
  ],
  [
    "kek: flights-ordinary }",
    "kek: flights-ordinary, columns: [date] }",
    'f:17:7: datasets.flights.groups: exactly one group has no "columns" and takes all others: there is none',
  ],
  [
    "columns: [delay] }\n  del",
    "columns: [delay, delay] }\n  del",
    'f:18:69: datasets.flights.groups[1].columns[1]: column "delay" is in group "sensitive" already',
  ],
  [
    "name: sensitive",
    "name: ordinary",
    'f:18:17: datasets.flights.groups[1].name: another group is named "ordinary" too',
  ],
  [
    "kek: results",
    "kek: My_Results",
    `f:21:32: datasets.delays.groups[0].kek: expected a KEK's name: lower-case letters, digits or '-', at most 63; came "My_Results"`,
  ],
  [
    "dataset: flights",
    "dataset: flihgts",
    'f:31:27: jobs.delays.inputs.flights.dataset: there is no dataset "flihgts": did you mean "flights"?',
  ],
  [
    "dataset: flights",
    "dataset: delays",
    "f:31:27: jobs.delays.inputs.flights.dataset: the job's output is this dataset too: give it another",
  ],
  [
    "columns: [delay] }\n    out",
    "columns: [delay, delay] }\n    out",
    'f:31:53: jobs.delays.inputs.flights.columns[1]: column "delay" is listed twice',
  ],
  [
    "output: delays",
    "output: nosuch",
    'f:32:13: jobs.delays.output: there is no dataset "nosuch": expected flights, delays',
  ],
  [
    "policy: analysis",
    "policy: anlaysis",
    'f:28:13: jobs.delays.policy: there is no policy "anlaysis": did you mean "analysis"?',
  ],
  [
    "code: queries/delays.sql",
    "code: [queries/a.sql, queries/b.sql, queries/a.sql]",
    'f:27:42: jobs.delays.code[2]: the query "a" is listed twice: keep one',
  ],
  [
    "code: queries/delays.sql",
    "code: [queries/a.sql, nightly/A.sql]",
    'f:27:27: jobs.delays.code[1]: the query of queries/a.sql is named "a" too: rename one of the files',
  ],
  [
    "code: queries/delays.sql",
    "code: queries/top.ten.sql",
    `f:27:11: jobs.delays.code: the file's name is the query's, "top.ten": expected 1 to 63 letters, digits, '_' or '-', beginning with a letter or digit: rename the file`,
  ],
  [
    "code: queries/delays.sql",
    "code: []",
    "f:27:11: jobs.delays.code: expected at least 1 entries; came an empty list",
  ],
  ["engine: sql", "engine: spark", 'f:26:13: jobs.delays.engine: expected "sql"; came "spark"'],
  [
    "purpose: statistics",
    "purpose: [a]",
    "f:29:14: jobs.delays.purpose: expected text; came a list",
  ],
  [
    "memoryMiB: 512",
    "memoryMiB: 1",
    "f:33:26: jobs.delays.limits.memoryMiB: expected at least 64; came 1",
  ],
  [
    "memoryMiB: 512",
    "memoryMB: 512",
    'f:33:15: jobs.delays.limits.memoryMB: unknown key: did you mean "memoryMiB"?',
  ],
  [
    "jobs:\n  delays:",
    "jobs:\n  Delays:",
    `f:25:3: jobs.Delays: expected lower-case letters, digits, '-' or '_', at most 63; came "Delays"`,
  ],
  [
    "name: demo",
    "name: !!js/function demo",
    "f:2:7: Unresolved tag: tag:yaml.org,2002:js/function",
  ],
  ["name: demo", "name: demo\nname: demo", "f:3:1: this key is given twice"],
  ["name: demo", "name: demo\n__proto__: {}", "f:3:1: this key is not allowed"],
  ["name: demo", "\tname: demo", "f:2:1: Tabs are not allowed as indentation"],
  [
    "name: demo",
    'name: "de\\e[31mmo"',
    `f:2:7: name: expected lower-case letters, digits, '-' or '_', at most 63; came "de\\x1b[31mmo"`,
  ],
  ["policies:", "---\npolicies:", "f:22:1: expected one document: remove the line ---"],
];

for (const [from, to, message] of WRONG)
  test(`ppml.yaml is refused: ${message}`, () => {
    assert.equal(GOOD.split(from).length, 2, "the text to change is there once");
    assert.throws(() => parseProject(GOOD.replace(from, to), "f"), {
      code: "config.invalid",
      message,
    });
  });

test("what is no map at all is refused", () => {
  for (const [text, came] of [
    ["", "nothing"],
    ["hello", '"hello"'],
    ["- 1", "a list"],
  ] as const)
    assert.throws(() => parseProject(text, "f"), {
      message: `f:1:1: expected a map; came ${came}`,
    });
});

test("the good file, with line ends of Windows or a byte order mark too, gives its defaults", () => {
  for (const text of [GOOD, GOOD.replaceAll("\n", "\r\n"), `\ufeff${GOOD}`]) {
    const config = parseProject(text, "f");
    assert.equal(config.jobs["delays"]?.validDays, 30);
    assert.equal(config.datasets["delays"]?.kind, "auto");
  }
});

test("every template is a valid project in both modes", () => {
  for (const template of [emptyTemplate(), peopleTemplate(1), quickstartTemplate()])
    for (const mode of ["simulation", "production"] as const)
      for (const root of ["file", "passphrase"] as const) {
        const text = projectHead({ name: "demo", mode, root }) + template.sections;
        const config = parseProject(text, "f");
        assert.equal(config.mode, mode);
        const named = Object.values(config.datasets).flatMap(({ groups }) => groups);
        const made = template.keks.map(({ name }) => name);
        assert.deepEqual([...new Set(named.map(({ kek }) => kek))].sort(), made.sort());
      }
});

test("all problems are told at once, in the order of the lines, and as data", () => {
  const text = GOOD.replace("version: 1", "version: 3").replace("kek: results", "kek: R");
  try {
    parseProject(text, "f");
    assert.fail();
  } catch (error) {
    assert.ok(isPpmlError(error, "config.invalid"));
    assert.match(error.message, /^f has 2 problems:\n {2}f:1:10: .*\n {2}f:21:32: /);
    const { problems } = error.detail as { problems: readonly { line: number; path: string }[] };
    assert.deepEqual(
      problems.map(({ line, path }) => [line, path]),
      [
        [1, "version"],
        [21, "datasets.delays.groups[0].kek"],
      ],
    );
  }
});

const BOMBS: readonly (readonly [name: string, text: string, message: string])[] = [
  ["over 1 MiB", "a".repeat(1024 * 1024 + 1), "f:1:1: expected at most 1 MiB"],
  [
    "a billion laughs",
    [
      "a: &a [x,x,x,x,x,x,x,x,x]",
      "b: &b [*a,*a,*a,*a,*a,*a]",
      "c: &c [*b,*b,*b,*b,*b,*b]",
      "d: [*c,*c,*c,*c,*c,*c]",
    ].join("\n"),
    "f:1:1: expected fewer aliases",
  ],
  [
    "many aliases",
    Array.from({ length: 2000 }, (_, i) => `k${i}: &a 1\nm${i}: *a`).join("\n"),
    "f:1:1: expected at most 100 aliases",
  ],
];
for (const [name, text, message] of BOMBS)
  test(`${name}: refused within bounds`, () => {
    assert.throws(() => parseProject(text, "f"), { code: "config.invalid", message });
  });

test("deep nesting and many keys are refused in bounded time", () => {
  for (const text of [
    `a: ${"[".repeat(20_000)}`,
    "{a: ".repeat(20_000),
    Array.from({ length: 1400 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
    Array.from({ length: 10_000 }, (_, i) => `k${i}: 1`).join("\n"),
    `datasets:\n${Array.from({ length: 10_000 }, (_, i) => `  k${i}: 1`).join("\n")}`,
  ])
    assert.throws(() => parseProject(text, "f"), { code: "config.invalid" });
});

test("any text is a project or one clear error", () => {
  const piece = fc.constantFrom(
    ...GOOD.split(/(?<=[\s:{},[\]])/),
    "&a ",
    "*a ",
    "- ",
    "\t",
    "'",
    "|",
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join("")),
      (text) => {
        try {
          parseProject(text, "f");
        } catch (error) {
          assert.ok(error instanceof PpmlError && error.code === "config.invalid", String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("a good file with one changed character is a project or one clear error", () => {
  fc.assert(
    fc.property(fc.nat(GOOD.length - 1), fc.string({ unit: "binary", maxLength: 2 }), (at, put) => {
      try {
        parseProject(GOOD.slice(0, at) + put + GOOD.slice(at + 1), "f");
      } catch (error) {
        assert.ok(isPpmlError(error, "config.invalid"), String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test("the project is found in the nearest folder above, or where --project says", async (context) => {
  const root = temporaryFolder(context);
  const deep = join(root, "a/b");
  mkdirSync(deep, { recursive: true });
  await assert.rejects(loadProject({ cwd: deep }), { code: "config.missing" });
  writeFileSync(join(root, "ppml.yaml"), GOOD);
  const project = await loadProject({ cwd: deep });
  assert.equal(project.root, root);
  assert.equal(project.resolve("data/x"), join(root, "data/x"));
  assert.equal(project.resolve("file:///data/x%20y"), "/data/x y");
  assert.equal(project.resolve("/data/x"), "/data/x");
  await assert.rejects(loadProject({ cwd: root, folder: "a" }), { code: "config.missing" });
  assert.equal((await loadProject({ cwd: "/", folder: root })).root, root);
});

test("a ppml.yaml that is a folder or no UTF-8 is refused by name", async (context) => {
  const root = temporaryFolder(context);
  mkdirSync(join(root, "a/ppml.yaml"), { recursive: true });
  await assert.rejects(loadProject({ cwd: join(root, "a") }), { code: "config.invalid" });
  writeFileSync(join(root, "ppml.yaml"), Uint8Array.of(0x6e, 0xff, 0xfe));
  await assert.rejects(loadProject({ cwd: root }), {
    code: "config.invalid",
    message: "ppml.yaml:1:1: expected UTF-8 text",
  });
});
