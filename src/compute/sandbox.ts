import { spawnSync } from "node:child_process";
import { PpmlError } from "../base/index.ts";
import type { Mode } from "../format/kek.ts";
import { makeWorkDirectory } from "./work-directory.ts";

/** How far a worker can be shut in on this machine. */
export type Isolation = "namespaces" | "user-namespaces" | "none";

/** A command that starts a program without network, core dumps and capabilities. */
export type Sandbox = Disposable & {
  readonly isolation: Isolation;
  /** A tmpfs of the worker alone where `isolation` is not "none"; on macOS a RAM disk. */
  readonly workDirectory: string;
  /** The command line that starts `program` inside. */
  command(
    program: string,
    args: readonly string[],
  ): { readonly file: string; readonly args: string[] };
};

const SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Finds out what the kernel allows, by trying it.
 * Root gets mount and network namespaces at once; others through a user namespace of their own.
 */
export function probeIsolation(): Isolation {
  if (process.platform !== "linux") return "none";
  for (const isolation of ["namespaces", "user-namespaces"] as const) {
    const probe = spawnSync("unshare", [...unshareFlags(isolation), "--", "true"], {
      env: { PATH: SYSTEM_PATH },
      stdio: "ignore",
      timeout: 10_000,
    });
    if (probe.status === 0) return isolation;
  }
  return "none";
}

/**
 * Makes the sandbox of one worker.
 * @throws launch.isolation where `mode` is production and the kernel allows no namespaces, as macOS
 * never does; where there is no memory for the opened columns
 */
export function makeSandbox(options: {
  readonly mode: Mode;
  readonly isolation: Isolation;
  /** Upper bound of the private tmpfs. */
  readonly tmpfsBytes: number;
}): Sandbox {
  const { isolation, mode, tmpfsBytes } = options;
  if (mode === "production" && isolation === "none")
    throw new PpmlError(
      "launch.isolation",
      "production needs Linux with unshare, prlimit and namespaces, and this machine allows none: " +
        "run inside the image that docs/architecture.md describes",
    );
  const { platform } = process;
  const directory = makeWorkDirectory({ platform, bytes: tmpfsBytes });
  const workDirectory = directory.path;
  return {
    isolation,
    workDirectory,
    command: (program, args) =>
      isolation === "none"
        ? { file: program, args: [...args] }
        : {
            file: "unshare",
            args: [
              ...unshareFlags(isolation),
              "--",
              ...STAGE,
              String(tmpfsBytes),
              workDirectory,
              ...LIMITS,
              program,
              ...args,
            ],
          },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

/**
 * Mounts the private tmpfs, then becomes the next command. `noswap` keeps its pages out of swap
 * (Linux 6.4); older kernels refuse the option, and docs/limits.md says what that means. Huge pages
 * make writing, reading and freeing opened columns several times cheaper; a kernel without them
 * refuses that option. `within_size` gives no small file more memory than it fills. A job may have as
 * many files as the hard limit of descriptors allows.
 */
const STAGE_SCRIPT = `
size="$1"; dir="$2"; shift 2
options="size=$size,mode=0700,nosuid,nodev,noexec"
for more in ,noswap,huge=within_size ,noswap ,huge=within_size; do
  mount -t tmpfs -o "$options$more" ppml "$dir" 2>/dev/null && break
done || mount -t tmpfs -o "$options" ppml "$dir"
ulimit -n "$(ulimit -H -n)"
exec "$@"
`;

/** The shell's arguments before the script's own: its name stands in error messages. */
const STAGE = ["/bin/sh", "-euc", STAGE_SCRIPT, "ppml"];
const LIMITS =
  "prlimit --core=0 -- setpriv --no-new-privs --inh-caps=-all --bounding-set=-all --".split(" ");

function unshareFlags(isolation: "namespaces" | "user-namespaces"): readonly string[] {
  const flags = ["--mount", "--net", "--ipc", "--uts"];
  return isolation === "namespaces" ? flags : ["--user", "--map-root-user", ...flags];
}

/** The environment of a sandboxed program: only what the job allows, and the system's own PATH. */
export function cleanEnvironment(
  allowed: readonly string[],
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  const result: Record<string, string> = { PATH: SYSTEM_PATH, LANG: "C.UTF-8", TZ: "UTC" };
  for (const name of allowed) {
    const value = environment[name];
    if (value !== undefined) result[name] = value;
  }
  return result;
}
