import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { runInProcess, temporaryFolder } from "../cli/ppml.ts";

const MODULE = pathToFileURL(join(import.meta.dirname, "../../tools/quickstart/type-command.ts"));
/** util-linux's: `-e` gives the command's exit code, `-c` the command. */
const version = spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? "";

/** A project with a job that its time limit ends after two seconds, whatever the machine. */
async function makeSlowJob(context: TestContext): Promise<string> {
  const cwd = temporaryFolder(context);
  const run = async (line: string): Promise<void> => {
    const { code, stderr } = await runInProcess(line.split(" "), { cwd });
    assert.equal(code, 0, `${line}: ${stderr}`);
  };
  await run("init --template people --rows 20");
  const yaml = readFileSync(join(cwd, "ppml.yaml"), "utf8");
  const limited = yaml.replace(/^    purpose:/m, "    limits: { timeoutSeconds: 2 }\n$&");
  assert.notEqual(limited, yaml);
  writeFileSync(join(cwd, "ppml.yaml"), limited);
  writeFileSync(
    join(cwd, "queries/developers.sql"),
    "SELECT count(*) FROM range(100000000000) a(i), range(10) b(j) WHERE hash(i) % 7 = j",
  );
  for (const line of [
    "data seal",
    "job sign developers",
    "policy draft analysis",
    "policy apply analysis",
  ])
    await run(line);
  return cwd;
}

/** Runs a command as the quickstart does, on a terminal of its own; gives what the terminal got. */
async function onTerminal(folder: string, args: readonly string[]): Promise<string> {
  const program = `import { typeCommand } from ${JSON.stringify(MODULE.href)};
    const { status } = typeCommand(${JSON.stringify(args)}, { folder: ${JSON.stringify(folder)}, shown: "all" });
    process.exit(status);`;
  const path = join(folder, "type.mjs");
  writeFileSync(path, program);
  const command = `'${process.execPath}' --disable-warning=ExperimentalWarning '${path}'`;
  const child = spawn("script", ["-q", "-e", "-c", command, "/dev/null"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return await text(child.stdout);
}

test(
  "the quickstart draws the progress of a step of more than a second on a terminal, and clears it",
  { skip: !version.includes("util-linux") && "needs script of util-linux" },
  async (context) => {
    const folder = await makeSlowJob(context);
    const screen = await onTerminal(folder, ["run", "developers"]);
    // The line is cleared, then drawn, again and again, with the seconds.
    // oxlint-disable-next-line no-control-regex
    const bars = [...screen.matchAll(/\r\u001b\[2Krunning in the TEE {2}(\d+) s/g)];
    assert.ok(bars.length >= 2, screen);
    assert.ok(Number(bars[0]?.[1]) >= 1, screen);
    const last = bars.at(-1);
    const rest = screen.slice((last?.index ?? 0) + (last?.[0].length ?? 0));
    assert.ok(rest.startsWith("\r\u001b[2K"), screen);
    assert.match(screen, /compute\.timeout/);
  },
);
