import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { fromUtf8, PpmlError } from "../../base/index.ts";
import { isAbfsUri, parseAbfsUri } from "../../store/index.ts";
import { MAX_PROJECT_BYTES } from "./document.ts";
import { parseProject } from "./parse.ts";
import { problemsError } from "./problem.ts";
import type { ProjectConfig } from "./schema.ts";

/** The project file's name. */
export const PROJECT_FILE = "ppml.yaml";

/** A project: its folder, its file and what that says. */
export type Project = {
  /** Absolute path of the folder of ppml.yaml. */
  readonly root: string;
  /** Absolute path of ppml.yaml. */
  readonly file: string;
  readonly config: ProjectConfig;
  /** The absolute path of a path of ppml.yaml; a file: URI is turned into its path, an abfs: one stays a URI. */
  readonly resolve: (path: string) => string;
};

/**
 * Finds and reads the project: in `folder` where one is given, otherwise in `cwd` or the nearest
 * folder above it that has a ppml.yaml.
 * @throws config.missing config.invalid
 */
export async function loadProject(options: {
  readonly cwd: string;
  readonly folder?: string | undefined;
}): Promise<Project> {
  const { cwd, folder } = options;
  const found = folder === undefined ? await findAbove(cwd) : await readIn(resolve(cwd, folder));
  if (found === undefined)
    throw new PpmlError(
      "config.missing",
      folder === undefined
        ? `no ${PROJECT_FILE} in ${cwd} or a folder above it`
        : `no ${PROJECT_FILE} in ${resolve(cwd, folder)}`,
      { detail: { remedy: "make a project with `ppml init`, or name its folder with --project" } },
    );
  const { root, bytes } = found;
  const file = join(root, PROJECT_FILE);
  const fileName = nameFrom(cwd, file);
  return {
    root,
    file,
    config: parseProject(decode(bytes, fileName), fileName),
    resolve: (path) => {
      if (isAbfsUri(path)) return parseAbfsUri(path).uri;
      return resolve(root, path.startsWith("file:") ? fileURLToPath(path) : path);
    },
  };
}

type Found = { readonly root: string; readonly bytes: Uint8Array };

async function findAbove(cwd: string): Promise<Found | undefined> {
  for (let root = resolve(cwd); ; root = dirname(root)) {
    const found = await readIn(root);
    if (found !== undefined) return found;
    if (dirname(root) === root) return undefined;
  }
}

async function readIn(root: string): Promise<Found | undefined> {
  const path = join(root, PROJECT_FILE);
  try {
    // O_NONBLOCK: a FIFO of that name must not make us wait for ever.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) throw new PpmlError("config.invalid", `${path} is not a regular file`);
    if (stat.size > MAX_PROJECT_BYTES)
      throw new PpmlError(
        "config.invalid",
        `${path}: expected at most 1 MiB; came ${stat.size} bytes`,
      );
    const bytes = new Uint8Array(stat.size);
    const { bytesRead } = await file.read(bytes, 0, stat.size, 0);
    return { root, bytes: bytes.subarray(0, bytesRead) };
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    const code = cause instanceof Error && "code" in cause ? cause.code : "";
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new PpmlError("config.invalid", `${path} cannot be read (${String(code)})`, { cause });
  }
}

function decode(bytes: Uint8Array, fileName: string): string {
  try {
    return fromUtf8(bytes);
  } catch {
    const message = "expected UTF-8 text";
    throw problemsError(fileName, [{ line: 1, column: 1, path: "", message }]);
  }
}

/** The path as a person standing in `cwd` would write it. */
function nameFrom(cwd: string, file: string): string {
  const name = relative(cwd, file);
  return name.startsWith("..") || isAbsolute(name) ? file : name;
}
