import { constants } from "node:fs";
import { copyFile, lstat, mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { PpmlError } from "../base/index.ts";
import type { Clock, Secret } from "../base/index.ts";
import { PROJECT_FILE } from "./config/load.ts";
import { parseProject } from "./config/parse.ts";
import { ROOTS_FILE, rootsText } from "./pinned-roots.ts";
import { createProjectState } from "./project-state.ts";
import type { Template } from "./templates/template.ts";

const IGNORED = [".ppml/", "data/"] as const;

/** A project to make. */
export type NewProject = {
  /** Absolute path of the folder; it is made where it does not exist. */
  readonly root: string;
  /** Text of ppml.yaml. */
  readonly projectText: string;
  readonly template: Template;
  readonly passphrase?: Secret | undefined;
  readonly clock: Clock;
  readonly onStep: (label: string) => void;
};

/**
 * Makes a project: all of it or nothing; ppml.yaml comes last.
 * Gives the paths made, relative to the folder.
 * @throws cli.exists where a file would be written over
 */
export async function createProject(options: NewProject): Promise<readonly string[]> {
  const { root, template, onStep } = options;
  const config = parseProject(options.projectText, PROJECT_FILE);
  const texts = Object.entries(template.files);
  const copies = Object.entries(template.copies);
  await refuseExisting(root, [
    PROJECT_FILE,
    ".ppml",
    ROOTS_FILE,
    ...[...texts, ...copies].map(([path]) => path),
  ]);
  const undo: (() => Promise<void>)[] = [];
  try {
    await makeFolder(root, undo);
    await mkdir(join(root, ".ppml"), { mode: 0o700 });
    // Only now is it ours to remove: mkdir fails where another made it meanwhile.
    undo.push(() => rm(join(root, ".ppml"), { recursive: true, force: true }));
    const roots = await createProjectState({ ...options, config, keks: template.keks });
    const make = async (path: string, write: (target: string) => Promise<void>) => {
      const target = join(root, path);
      await makeFolder(dirname(target), undo);
      await write(target);
      undo.push(() => rm(target, { force: true }));
    };
    for (const [path, source] of copies) {
      onStep(`copying ${path}`);
      const mode = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE;
      await make(path, (target) => copyFile(source, target, mode));
    }
    for (const [path, text] of texts)
      await make(path, (target) => writeFile(target, text, { flag: "wx" }));
    await make(ROOTS_FILE, (target) => writeFile(target, rootsText(roots), { flag: "wx" }));
    await ignoreFiles(root, undo);
    await make(PROJECT_FILE, (target) => writeFile(target, options.projectText, { flag: "wx" }));
  } catch (error) {
    for (const step of undo.toReversed()) await step().catch(() => undefined);
    throw error;
  }
  return [PROJECT_FILE, ".ppml/", ROOTS_FILE, ...[...copies, ...texts].map(([path]) => path)];
}

async function refuseExisting(root: string, paths: readonly string[]): Promise<void> {
  const found: string[] = [];
  for (const path of paths) if (await exists(join(root, path))) found.push(path);
  if (found.length === 0) return;
  const half = found.includes(".ppml") && !found.includes(PROJECT_FILE);
  throw new PpmlError(
    "cli.exists",
    `${root} already has ${found.join(", ")}: nothing was changed`,
    {
      detail: {
        paths: found,
        remedy: half
          ? "if an earlier init was cut off, remove .ppml; otherwise choose another folder"
          : "choose another folder: ppml init DIR",
      },
    },
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}

/** Makes a folder and those above it; undoing removes what was made, where it is empty. */
async function makeFolder(path: string, undo: (() => Promise<void>)[]): Promise<void> {
  try {
    const first = await mkdir(path, { recursive: true });
    if (first === undefined) return;
    const made = relative(dirname(first), path).split(sep);
    for (const depth of made.keys())
      undo.push(() => rmdir(join(dirname(first), ...made.slice(0, depth + 1))));
  } catch (cause) {
    throw new PpmlError(
      "cli.exists",
      `${path} cannot be made: a file is in its place, or no right`,
      {
        cause,
      },
    );
  }
}

/** Adds our lines to .gitignore, or makes it. */
async function ignoreFiles(root: string, undo: (() => Promise<void>)[]): Promise<void> {
  const path = join(root, ".gitignore");
  const before = await readFile(path, "utf8").catch(() => undefined);
  const have = new Set((before ?? "").split(/\r?\n/));
  const missing = IGNORED.filter((line) => !have.has(line));
  if (missing.length === 0) return;
  const block = ["# ppml: keys and state, plaintext data", ...missing, ""].join("\n");
  const gap = before === undefined || before === "" ? "" : before.endsWith("\n") ? "\n" : "\n\n";
  undo.push(() => (before === undefined ? rm(path, { force: true }) : writeFile(path, before)));
  await writeFile(path, (before ?? "") + gap + block);
}
