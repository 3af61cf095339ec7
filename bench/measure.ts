import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** What one run took: of the wall clock, and of CPU time (user and system, all threads). */
export type Taken = { readonly wallMs: number; readonly cpuMs: number };

/** Medians over the rounds of one side. */
export type Median = Taken & { readonly rounds: number };

/** One side of a comparison: runs once and says what that took. */
export type Side = () => Taken | Promise<Taken>;

/**
 * Runs the sides in turn, `warmUps` rounds that do not count and then `rounds` that do; each second
 * round runs them the other way round, so that none always finds the caches that another left.
 * @returns the medians of each side, under its name
 */
export async function alternate<Name extends string>(
  sides: Readonly<Record<Name, Side>>,
  options: { readonly rounds: number; readonly warmUps: number },
): Promise<Readonly<Record<Name, Median>>> {
  const names = Object.keys(sides) as Name[];
  const taken = new Map<Name, Taken[]>(names.map((name) => [name, []]));
  for (let round = 0; round < options.warmUps + options.rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const one = await sides[name]();
      if (round >= options.warmUps) taken.get(name)?.push(one);
    }
  }
  const medians = names.map((name) => [name, medianOf(taken.get(name) ?? [])] as const);
  return Object.fromEntries(medians) as Record<Name, Median>;
}

/** Measures `work` in this process; the CPU time is that of the whole process, engine threads too. */
export async function measured(work: () => unknown): Promise<Taken> {
  const startMs = performance.now();
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return { wallMs: performance.now() - startMs, cpuMs: (user + system) / 1000 };
}

/**
 * As `measured`, with the CPU time of the child processes that ended meanwhile, in steps of 10 ms.
 * @throws RangeError where the system does not tell it
 */
export async function measuredWithChildren(work: () => Promise<unknown>): Promise<Taken> {
  const before = endedChildrenCpuMs();
  const own = await measured(work);
  return { ...own, cpuMs: own.cpuMs + endedChildrenCpuMs() - before };
}

/** Fields cutime and cstime of this process; Linux counts them in hundredths. @see proc_pid_stat(5) */
function endedChildrenCpuMs(): number {
  const stat = readFileSync("/proc/self/stat", "utf8");
  // The command's name is in parentheses and may hold spaces: the third field comes after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[13]) + Number(fields[14]);
  if (!Number.isInteger(ticks)) throw new RangeError(`/proc/self/stat is not understood: ${stat}`);
  return ticks * 10;
}

/**
 * Runs a command to its end and measures it, its children too; the shell around it tells the CPU
 * time. What the command prints on stdout comes back.
 * @throws RangeError where it fails
 */
export function measuredCommand(
  command: readonly string[],
  options: { readonly cwd?: string } = {},
): Taken & { readonly stdout: string } {
  const startMs = performance.now();
  const script = '"$@" || exit 1; times >&3';
  const run = spawnSync("sh", ["-c", script, "sh", ...command], {
    ...options,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const wallMs = performance.now() - startMs;
  if (run.status !== 0)
    throw new RangeError(`${command.join(" ")} ended with ${run.status}:\n${run.stderr}`);
  return { wallMs, cpuMs: childrenCpuMs(run.output[3] ?? ""), stdout: run.stdout };
}

/** The middle number; the higher one of two. NaN for none. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

function medianOf(taken: readonly Taken[]): Median {
  return {
    wallMs: median(taken.map(({ wallMs }) => wallMs)),
    cpuMs: median(taken.map(({ cpuMs }) => cpuMs)),
    rounds: taken.length,
  };
}

/** The second line of the shell's `times`: user and system time of its children. */
function childrenCpuMs(times: string): number {
  const children = times.split("\n")[1] ?? "";
  const parts = [...children.matchAll(/(\d+)m([\d.]+)s/g)];
  if (parts.length !== 2) throw new RangeError(`the shell's times are not understood: ${times}`);
  return parts.reduce((sum, [, minutes, seconds]) => {
    return sum + (Number(minutes) * 60 + Number(seconds)) * 1000;
  }, 0);
}
