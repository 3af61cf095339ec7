/** How long the command line takes to start: medians of runs that alternate, the cache warm. */
import { join } from "node:path";
import { commandsOf } from "../src/cli/routes.ts";
import { alternate, measuredCommand } from "./measure.ts";
import { single } from "./table.ts";
import type { Figure } from "./table.ts";

const COMPLETION = "ppml __complete key";
const PPML = join(import.meta.dirname, "../bin/ppml");

/** Every help page has the goal; an empty Node program beside it is what no command can go below. */
export async function benchCli(options: { readonly quick: boolean }): Promise<readonly Figure[]> {
  const pages = [[], ["key"], ...commandsOf().map(({ path }) => path)];
  const commands: Readonly<Record<string, readonly string[]>> = {
    ...Object.fromEntries(
      pages.map((path) => [["ppml", ...path, "--help"].join(" "), [PPML, ...path, "--help"]]),
    ),
    [COMPLETION]: [PPML, "__complete", "key", ""],
  };
  const node = "node -e 0";
  const all = { [node]: [process.execPath, "-e", "0"], ...commands };
  const sides = Object.fromEntries(
    Object.entries(all).map(([name, command]) => [name, () => measuredCommand(command)]),
  );
  const medians = await alternate(sides, { rounds: options.quick ? 5 : 20, warmUps: 1 });
  const figure = (name: string, clock: "wallMs" | "cpuMs", what = name): Figure =>
    single({
      what: `${what}, ${clock === "cpuMs" ? "CPU" : "wall"}`,
      ours: medians[name]?.[clock] ?? Number.NaN,
      other: { name: node, value: medians[node]?.[clock] ?? Number.NaN },
      unit: "ms",
      ...(name === COMPLETION || clock === "cpuMs" ? {} : { goal: { atMost: 150 } }),
    });
  // By CPU time: a busy machine makes any of them the slowest by the clock.
  const cpu = (name: string): number => medians[name]?.cpuMs ?? Number.NaN;
  const [slowest = ""] = Object.keys(commands)
    .filter((name) => name !== COMPLETION)
    .sort((a, b) => cpu(b) - cpu(a));
  const most = `most CPU of ${pages.length} help pages: ${slowest}`;
  return [
    figure("ppml --help", "wallMs"),
    figure("ppml key --help", "wallMs"),
    figure("ppml key list --help", "wallMs"),
    figure("ppml key list --help", "cpuMs"),
    figure(slowest, "wallMs", most),
    figure(slowest, "cpuMs", most),
    figure(COMPLETION, "wallMs"),
  ];
}
