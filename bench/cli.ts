/** How long the command line takes to start: medians of runs that alternate, the cache warm. */
import { join } from "node:path";
import { alternate, measuredCommand } from "./measure.ts";
import { single } from "./table.ts";
import type { Figure } from "./table.ts";

const PPML = join(import.meta.dirname, "../bin/ppml");

/** `ppml --help` has the goal; an empty Node program beside it is what no command can go below. */
export async function benchCli(options: { readonly quick: boolean }): Promise<readonly Figure[]> {
  const commands = {
    "ppml --help": [PPML, "--help"],
    "ppml key --help": [PPML, "key", "--help"],
    "ppml key list --help": [PPML, "key", "list", "--help"],
    "ppml __complete key": [PPML, "__complete", "key", ""],
  };
  const node = "node -e 0";
  const all = { [node]: [process.execPath, "-e", "0"], ...commands };
  const sides = Object.fromEntries(
    Object.entries(all).map(([name, command]) => [name, () => measuredCommand(command)]),
  );
  const medians = await alternate(sides, { rounds: options.quick ? 5 : 20, warmUps: 1 });
  return Object.keys(commands).map((name) =>
    single({
      what: `${name}, wall`,
      ours: medians[name]?.wallMs ?? Number.NaN,
      other: { name: node, value: medians[node]?.wallMs ?? Number.NaN },
      unit: "ms",
      ...(name === "ppml --help" ? { goal: { atMost: 150 } } : {}),
    }),
  );
}
