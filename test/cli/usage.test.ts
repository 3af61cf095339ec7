import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import { test } from "node:test";
import { commandsOf } from "../../src/cli/routes.ts";
import { PPML, ppml, runInProcess, temporaryFolder } from "./ppml.ts";

const USAGE_ERRORS: readonly (readonly [args: readonly string[], message: string, help: string])[] =
  [
    [["nosuch"], "there is no command `nosuch`", "ppml --help"],
    [["kez"], "there is no command `kez`: did you mean `key`?", "ppml --help"],
    [["key", "lst"], "there is no command `lst`: did you mean `list`?", "ppml key --help"],
    [["--bogus"], "there is no flag --bogus here: flags follow the command", "ppml --help"],
    [["__proto__"], "there is no command `__proto__`", "ppml --help"],
    [["key", "constructor"], "there is no command `constructor`", "ppml key --help"],
    [["key", "show"], "the argument NAME is missing", "ppml key show --help"],
    [
      ["key", "show", "a", "b"],
      'expected at most 1 argument; came one more: "b"',
      "ppml key show --help",
    ],
    [["key", "list", "x"], 'expected no arguments; came one more: "x"', "ppml key list --help"],
    [
      ["key", "list", "--projct", "x"],
      "there is no flag --projct here: did you mean --project?",
      "ppml key list --help",
    ],
    [["key", "list", "-z"], "there is no flag -z here", "ppml key list --help"],
    [["key", "list", "--project"], "--project needs a value", "ppml key list --help"],
    [["init", "--name", "a", "--name", "b"], "--name is given twice", "ppml init --help"],
    [
      ["init", "--template", "peopel"],
      '--template: expected quickstart, people, azure, empty; came "peopel"',
      "ppml init --help",
    ],
    [
      ["init", "--rows", "many"],
      '--rows: expected a whole number from 1 to 1000000; came "many"',
      "ppml init --help",
    ],
    [
      ["completion", "tcsh"],
      'SHELL: expected bash, zsh, fish; came "tcsh"',
      "ppml completion --help",
    ],
  ];

for (const [args, message, help] of USAGE_ERRORS)
  test(`ppml ${args.join(" ")} is a usage error: ${message}`, async () => {
    const plain = await ppml(args);
    assert.deepEqual(plain, {
      code: 2,
      stdout: "",
      stderr: `error: ${message}\ncode:  cli.usage (docs/errors.md)\ntry:   ${help}\n`,
    });
    // A flag that lacks its value would take --json as that.
    if (args.at(-1) === "--project" || args[0]?.startsWith("-") === true) return;
    const json = await runInProcess([...args, "--json"]);
    assert.equal(json.code, 2);
    assert.equal(json.stderr, "");
    assert.deepEqual(JSON.parse(json.stdout), {
      error: { code: "cli.usage", message, detail: { remedy: help } },
    });
  });

test("help goes to stdout and exits 0, for the root, a noun and a command", async () => {
  for (const args of [[], ["--help"], ["-h"], ["key"], ["key", "--help"], ["key", "list", "-h"]]) {
    const run = await ppml(args);
    assert.equal(run.code, 0, args.join(" "));
    assert.match(run.stdout, /^USAGE$/m);
    assert.equal(run.stderr, "");
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(run.stdout, /\u001b/, "no colours without a terminal");
  }
});

test("--version prints the version of package.json", async () => {
  const { stdout } = await ppml(["--version"]);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test("an error of a command exits 1, with the code, and as JSON on stdout alone", async (context) => {
  const cwd = temporaryFolder(context);
  const plain = await ppml(["key", "list"], { cwd });
  assert.equal(plain.code, 1);
  assert.equal(plain.stdout, "");
  assert.match(
    plain.stderr,
    /^error: no ppml\.yaml in .*\ncode: {2}config\.missing .*\ntry: {3}make/,
  );
  const json = await ppml(["key", "list", "--json"], { cwd });
  assert.equal(json.code, 1);
  assert.equal(json.stderr, "");
  const { error } = JSON.parse(json.stdout);
  assert.deepEqual(Object.keys(error), ["code", "message", "detail"]);
  assert.equal(error.code, "config.missing");
});

test("the stack is shown only with PPML_DEBUG", async (context) => {
  const cwd = temporaryFolder(context);
  const quiet = await ppml(["key", "list"], { cwd });
  assert.doesNotMatch(quiet.stderr, /\n +at /);
  const loud = await ppml(["key", "list"], { cwd, env: { PPML_DEBUG: "1" } });
  assert.match(loud.stderr, /\n +at .*load\.ts/);
});

test("a reader that leaves is no error", () => {
  const script = `"$1" completion bash | true; echo "codes \${PIPESTATUS[0]}"`;
  const run = spawnSync("bash", ["-c", script, "bash", PPML], { encoding: "utf8" });
  assert.equal(run.stdout, "codes 0\n");
  assert.equal(run.stderr, "");
});

test("the launcher finds its folder through links, with spaces, from anywhere", async (context) => {
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, "a b/bin"), { recursive: true });
  symlinkSync(PPML, join(folder, "a b/one"));
  symlinkSync("../one", join(folder, "a b/bin/ppml"));
  const run = await ppml(["--version"], { program: join(folder, "a b/bin/ppml"), cwd: "/" });
  assert.equal(run.stderr, "");
  assert.equal(run.code, 0);
});

test("the launcher refuses a Node that is too old, in one line", async (context) => {
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, "package/bin"), { recursive: true });
  mkdirSync(join(folder, "path"));
  const fake = join(folder, "path/node");
  writeFileSync(fake, "#!/bin/sh\necho v22.17.9\n", { mode: 0o755 });
  const copy = join(folder, "package/bin/ppml");
  spawnSync("cp", [PPML, copy]);
  const env = { PATH: `${join(folder, "path")}:/usr/bin:/bin` };
  const run = await ppml(["--version"], { program: copy, env });
  assert.equal(run.code, 1);
  assert.equal(
    run.stderr,
    `error: ppml needs Node.js 22.18 or newer; ${fake} is v22.17.9: https://nodejs.org\n`,
  );
});

test("a command's path is its file's path", () => {
  const files = globSync("src/cli/commands/**/*.ts").map((path) =>
    path.split(sep).slice(3).join("/").replace(/\.ts$/, ""),
  );
  const paths = commandsOf().map(({ path }) => path.join("/"));
  assert.deepEqual(files.sort(), paths.sort());
});

test("every command has --json and --help", async () => {
  for (const { path } of commandsOf()) {
    const run = await runInProcess([...path, "--help"]);
    assert.equal(run.code, 0, path.join(" "));
    assert.match(run.stdout, /\[--json\]/, path.join(" "));
    assert.equal(run.stderr, "");
  }
});

test("T174: a usage error shows no password and no query of a URL", async (context) => {
  const cwd = temporaryFolder(context);
  const secret = "s3cr:t/with@signs";
  const cases = [
    ["attest", "verify", "x", "--pccs", `https://user:${secret}@host/path`],
    ["attest", "verify", "x", "--pccs", `https://host/path?token=${secret}`],
    ["attest", "verify", "x", "--kds", `user:${secret}@host`],
    ["key", "list", `https://host/?sig=${secret}`],
    ["init", "--template", `https://user:${secret}@host`],
    ["completion", `https://host?sig=${secret}`],
    ["data", "mkfs", `https://account/x?sig=${secret}`],
  ];
  for (const args of cases) {
    const { code, stdout, stderr } = await runInProcess(args, { cwd });
    assert.notEqual(code, 0, args.join(" "));
    assert.ok(!`${stdout}${stderr}`.includes("s3cr"), `${args.join(" ")}: ${stderr}`);
    assert.ok(!`${stdout}${stderr}`.includes("signs"), `${args.join(" ")}: ${stderr}`);
  }
  const { stderr } = await runInProcess(
    ["attest", "verify", "x", "--pccs", "https://user:pw@host/path?a=b"],
    { cwd },
  );
  assert.match(stderr, /came "https:\/\/\.\.\."/);
});
