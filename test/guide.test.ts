import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { z } from "zod";
import { commandsOf } from "../src/cli/routes.ts";
import { guideItems, ITEM_KINDS } from "./guide-items.ts";
import { sharedPath, skipWithout } from "./shared-data.ts";
import { stands } from "./test-name.ts";

const ROOT = join(import.meta.dirname, "..");

const rowSchema = z.strictObject({
  /** Kind, section and name, as test/guide-items.ts finds it in the guide. */
  item: z.string().min(1),
  verdict: z.enum(["kept", "mapped", "replaced", "dropped"]),
  why: z.string().min(1).max(300),
  /** What does it here; null where nothing has to. */
  command: z.string().startsWith("ppml ").nullable(),
  stage: z.literal([3, 4, 5]),
  state: z.enum(["done", "planned"]),
  test: z.strictObject({ file: z.string(), name: z.string() }).nullable(),
});
const { rows } = z
  .strictObject({ guide: z.string(), rows: z.array(rowSchema) })
  .parse(JSON.parse(readFileSync(join(ROOT, "docs", "guide.json"), "utf8")));

/** Commands that the stages to come will bring. One that is there is used as "done" or "planned". */
const PLANNED_COMMANDS = new Set([
  "ppml azure plan",
  "ppml azure apply",
  "ppml azure destroy",
  "ppml azure status",
  "ppml azure cost",
  "ppml up",
  "ppml doctor azure",
  "ppml doctor aks",
  "ppml aks credentials",
  "ppml data mkfs",
  "ppml data mkdir",
  "ppml data put",
  "ppml data ls",
  "ppml data rm",
  "ppml twin up",
  "ppml twin exec",
]);

/** The sections of docs/cli.md, by command. */
const pages = new Map(
  readFileSync(join(ROOT, "docs", "cli.md"), "utf8")
    .split("\n## ")
    .map((page) => [page.slice(0, page.indexOf("\n")), page]),
);
const commands = new Set(commandsOf().map(({ path }) => `ppml ${path.join(" ")}`));

/** The command without its flags, and its flags. */
function partsOf(command: string): { readonly name: string; readonly flags: readonly string[] } {
  const words = command.split(" ");
  return {
    name: words.filter((word) => !word.startsWith("-")).join(" "),
    flags: words.filter((word) => word.startsWith("--")),
  };
}

describe("docs/guide.json", () => {
  test("every item has one row", () => {
    const items = rows.map((row) => row.item);
    assert.equal(new Set(items).size, items.length);
    for (const item of items)
      assert.ok(
        ITEM_KINDS.some((kind) => item.startsWith(`${kind} `)),
        item,
      );
  });

  for (const state of ["done", "planned"] as const)
    test(`every command of a row that is ${state} is one that there is${state === "done" ? ", with its flags" : " or will be"}`, () => {
      for (const { item, command } of rows.filter((row) => row.state === state)) {
        if (command === null) continue;
        const { name, flags } = partsOf(command);
        const isThere = commands.has(name);
        assert.ok(
          isThere || (state === "planned" && PLANNED_COMMANDS.has(name)),
          `${item}: ${name}`,
        );
        if (state === "done")
          for (const flag of flags)
            assert.ok(pages.get(name)?.includes(`[${flag}]`), `${item}: ${command}`);
      }
    });

  test("what is done and not dropped has a command and a test; what is planned claims no test", () => {
    for (const { item, verdict, state, command, test: shownBy } of rows) {
      if (state === "planned") assert.equal(shownBy, null, item);
      else if (verdict !== "dropped") assert.ok(command !== null && shownBy !== null, item);
      if (verdict === "dropped") assert.equal(command, null, item);
    }
  });

  test("every test that a row names exists in the file that it names", () => {
    for (const { item, test: shownBy } of rows) {
      if (shownBy === null) continue;
      const path = join(ROOT, "test", shownBy.file);
      assert.ok(existsSync(path), `${item}: there is no test/${shownBy.file}`);
      assert.ok(stands(readFileSync(path, "utf8"), shownBy.name), `${item}: ${shownBy.name}`);
    }
  });
});

describe("docs/guides", () => {
  const folder = join(ROOT, "docs", "guides");
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".md")))
    test(`every flag that ${name} speaks of is one of a command that its section names`, () => {
      // Flags in tables are the other guide's, and --conf is Spark's.
      const sections = readFileSync(join(folder, name), "utf8").split("\n## ");
      for (const section of sections) {
        const prose = section.replaceAll(/^\|.*$/gm, "");
        const named = [...pages].filter(([command]) => section.includes(command));
        for (const [, flag = ""] of prose.matchAll(/`(--[a-z-]+)(?: [^`]*)?`/g))
          assert.ok(
            flag === "--conf" ||
              named.some(([, page]) => new RegExp(`^ +\\[?${flag}\\]?[ .]`, "m").test(page)),
            `${section.slice(0, 30)}: ${flag}`,
          );
      }
    });
});

function wordsOf(prose: string): readonly string[] {
  return prose.toLowerCase().match(/[\w-]+/g) ?? [];
}

const guide = sharedPath("reference", "bigdl-ppml-azure-guide.txt");

describe("the guide", { skip: skipWithout(guide) }, () => {
  const text = guide === null ? "" : readFileSync(guide, "utf8");
  const items = guideItems(text);

  test("its items are found: so many of each kind", () => {
    const counts = ITEM_KINDS.map((kind) => [
      kind,
      items.filter((item) => item.startsWith(`${kind} `)).length,
    ]);
    // 49 lines with --conf, and 2 + 2 + 2 + 10 variables in four sections, counted by hand.
    assert.deepEqual(Object.fromEntries(counts), {
      command: 38,
      flag: 118,
      conf: 49,
      variable: 16,
      output: 11,
      noted: 8,
      file: 13,
      image: 2,
      rule: 17,
    });
    assert.equal(text.match(/--conf /g)?.length, 49);
  });

  test("every command, flag, --conf, variable, output, note, file and image has a row", () => {
    const known = new Set(rows.map((row) => row.item));
    assert.deepEqual(
      items.filter((item) => !known.has(item)),
      [],
    );
  });

  test("no row is of something that the guide does not say", () => {
    const found = new Set(items);
    assert.deepEqual(
      rows.map((row) => row.item).filter((item) => !found.has(item)),
      [],
    );
  });

  test("no sentence of the guide stands in a reason", () => {
    const theirs = ` ${wordsOf(text).join(" ")} `;
    for (const { item, why } of rows) {
      const words = wordsOf(why);
      for (let from = 0; from + 7 <= words.length; from += 1)
        assert.ok(
          !theirs.includes(` ${words.slice(from, from + 7).join(" ")} `),
          `${item}: ${why}`,
        );
    }
  });
});
