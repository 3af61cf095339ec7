import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PpmlError } from "../../src/base/index.ts";
import { errorJson, renderError, reportError, toJson } from "../../src/cli/output/error-report.ts";
import { printable, printableLines } from "../../src/cli/output/printable.ts";
import { startProgress } from "../../src/cli/output/progress.ts";
import { createStyle, wantsColor } from "../../src/cli/output/style.ts";
import { renderFields, renderTable } from "../../src/cli/output/table.ts";
import { displayWidth, padDisplay } from "../../src/cli/output/width.ts";
import { nearest } from "../../src/cli/config/suggest.ts";

const plain = createStyle(false);

test("width counts columns: wide characters and emoji two, combining marks none", () => {
  const cases = [
    ["abc", 3],
    ["", 0],
    ["東京", 4],
    ["한국", 4],
    ["ｱ", 1],
    ["Ａ", 2],
    ["e\u0301", 1],
    ["👍", 2],
    ["👩‍👩‍👧", 2],
    ["❤️", 2],
    ["ü", 1],
    ["\u200b", 0],
  ] as const;
  for (const [text, width] of cases) assert.equal(displayWidth(text), width, JSON.stringify(text));
  assert.equal(padDisplay("東", 4), "東  ");
  assert.equal(padDisplay("7", 3, "right"), "  7");
  assert.equal(padDisplay("long", 2), "long");
});

test("a table is aligned by columns, with no trailing spaces", () => {
  const text = renderTable({
    style: plain,
    columns: [{ title: "NAME" }, { title: "N", align: "right" }, { title: "CITY" }],
    rows: [
      ["a", "1", "東京"],
      ["東京", "200", ""],
    ],
  });
  assert.equal(text, "NAME    N  CITY\na       1  東京\n東京  200\n");
});

test("fields are aligned", () => {
  assert.equal(
    renderFields(
      [
        ["a", "1"],
        ["long", "2"],
      ],
      plain,
    ),
    "a     1\nlong  2\n",
  );
});

test("nothing from outside reaches the terminal as a control", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      // oxlint-disable-next-line no-control-regex
      const controls = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/u;
      assert.doesNotMatch(printable(text), controls);
      const table = renderTable({ style: plain, columns: [{ title: "X" }], rows: [[text]] });
      assert.doesNotMatch(table.replaceAll("\n", ""), controls);
      assert.equal(table.split("\n").length, 3);
    }),
  );
  assert.equal(printable("a\u001b[2Jb\n\u202e"), "a\\x1b[2Jb\\n\\u202e");
  assert.equal(printableLines("a\nb\r"), "a\nb\\r");
});

test("colours only on a terminal, without NO_COLOR and not on a dumb one", () => {
  assert.equal(wantsColor({ isTTY: true }, {}), true);
  assert.equal(wantsColor({ isTTY: true }, { NO_COLOR: "1" }), false);
  assert.equal(wantsColor({ isTTY: true }, { NO_COLOR: "" }), true);
  assert.equal(wantsColor({ isTTY: true }, { TERM: "dumb" }), false);
  assert.equal(wantsColor({}, { FORCE_COLOR: "1" }), false);
  assert.equal(createStyle(true).bad("x"), "\u001b[31mx\u001b[39m");
});

test("progress is silent for a second, then a bar on a terminal that goes away", () => {
  let nowMs = 0;
  const pieces: string[] = [];
  const port = {
    write: (text: string) => void pieces.push(text),
    isTty: true,
    columns: 80,
    now: () => nowMs,
  };
  const progress = startProgress(port, { label: "sealing", total: 200 });
  progress.update(50);
  assert.deepEqual(pieces, []);
  nowMs = 1500;
  progress.update(100);
  progress.update(110); // within 100 ms: not drawn again
  nowMs = 1700;
  progress.update(999);
  progress[Symbol.dispose]();
  const clear = "\r\u001b[2K";
  assert.deepEqual(pieces, [
    `${clear}sealing  [############------------]  50%  1 s`,
    `${clear}sealing  [########################] 100%  1 s`,
    clear,
  ]);
});

test("progress is one line where stderr is no terminal", () => {
  let nowMs = 0;
  const pieces: string[] = [];
  const port = {
    write: (text: string) => void pieces.push(text),
    isTty: false,
    columns: 80,
    now: () => nowMs,
  };
  const progress = startProgress(port, { label: "sealing" });
  nowMs = 1001;
  progress.update(1);
  progress.update(2);
  progress[Symbol.dispose]();
  assert.deepEqual(pieces, ["sealing ...\n"]);
});

test("an error is a message, a code and a remedy; the same as data in JSON", () => {
  const detail = { remedy: "do this", size: 5n, bytes: Uint8Array.of(1, 255) };
  const error = new PpmlError("store.io", "bad\u001b[31m\nsecond", { detail });
  const report = reportError(error, { isDebug: false });
  assert.equal(
    renderError(report, plain),
    "error: bad\\x1b[31m\nsecond\ncode:  store.io (docs/errors.md)\ntry:   do this\n",
  );
  assert.deepEqual(JSON.parse(errorJson(report)), {
    error: {
      code: "store.io",
      message: "bad\u001b[31m\nsecond",
      detail: { remedy: "do this", size: "5", bytes: "01ff" },
    },
  });
});

test("what the system refuses is base.io: its code, its words and what to do", () => {
  const error = Object.assign(new Error("ENOSPC: no space left on device, write '/a\u001b'"), {
    code: "ENOSPC",
    syscall: "write",
  });
  const report = reportError(error, { isDebug: false });
  assert.equal(
    renderError(report, plain),
    "error: the system refused (ENOSPC): no space left on device, write '/a\\x1b'\n" +
      "code:  base.io (docs/errors.md)\ntry:   free some space, or choose another place\n",
  );
  assert.equal(report.detail["systemCode"], "ENOSPC");
  const noSystem = Object.assign(new Error("x"), { code: "ERR_INVALID_ARG_TYPE" });
  assert.equal(reportError(noSystem, { isDebug: false }).code, "base.internal");
});

test("what is no PpmlError is base.internal, with the stack only when asked for", () => {
  const quiet = reportError(new TypeError("x is undefined"), { isDebug: false });
  assert.equal(quiet.code, "base.internal");
  assert.match(quiet.message, /^unexpected: x is undefined \(run again with PPML_DEBUG=1/);
  assert.equal(quiet.stack, undefined);
  const loud = reportError(new Error("a", { cause: new Error("b") }), { isDebug: true });
  assert.match(loud.stack ?? "", /Error: a[\s\S]*caused by: Error: b/);
  assert.equal(reportError("text", { isDebug: false }).code, "base.internal");
});

test("toJson ends with one line end", () => {
  assert.equal(toJson({ a: [1] }), '{\n  "a": [\n    1\n  ]\n}\n');
});

test("the nearest name is near, or there is none", () => {
  assert.equal(nearest("flihgts", ["flights", "airports"]), "flights");
  assert.equal(nearest("kez", ["key"]), "key");
  assert.equal(nearest("zzz", ["flights"]), undefined);
  assert.equal(nearest("Name", ["name"]), "name");
});
