// Runs command lines one after the other in one process: those of Azure need an environment that Node
// reads when it starts, and a process for each would take most of the tests' time.
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { runCli } from "../../../src/cli/run.ts";

const steps: readonly (readonly string[])[] = JSON.parse(await text(process.stdin));
const runs: object[] = [];
for (const args of steps) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const texts = Promise.all([text(stdout), text(stderr)]);
  const code = await runCli(args, { stdout, stderr, env: process.env, cwd: () => process.cwd() });
  stdout.end();
  stderr.end();
  const [out, err] = await texts;
  runs.push({ code, stdout: out, stderr: err });
}
process.stdout.write(JSON.stringify(runs));
