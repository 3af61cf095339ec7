import { constants } from "node:fs";
import { copyFile, mkdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { PpmlError } from "../base/index.ts";
import type { Clock, Secret } from "../base/index.ts";
import { PROJECT_FILE } from "./config/load.ts";
import { parseProject } from "./config/parse.ts";
import { ROOTS_FILE, rootsText } from "./pinned-roots.ts";
import { clearLeftovers, exists, makeStaging, STAGING, STATE_FOLDER } from "./project-staging.ts";
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
 * Makes a project: all of it or nothing. Everything is made in a staging folder inside; then files
 * take their names, and `.ppml` takes its own last. What a killed init left is cleared first.
 * Gives the paths made, relative to the folder.
 * @throws cli.exists where a file would be written over, or another init is at work
 */
export async function createProject(options: NewProject): Promise<readonly string[]> {
  const { root, template, onStep } = options;
  const config = parseProject(options.projectText, PROJECT_FILE);
  const texts = Object.entries(template.files);
  const copies = Object.entries(template.copies);
  const names = [...copies, ...texts].map(([path]) => path);
  const leftovers = await clearLeftovers(root);
  await refuseExisting(root, [PROJECT_FILE, STATE_FOLDER, ROOTS_FILE, ...names], leftovers);
  const undo: (() => Promise<void>)[] = [];
  try {
    await makeFolder(root, undo);
    using staging = await makeStaging(root);
    // Only now is it ours to remove: making it fails where another made it meanwhile.
    undo.push(() => staging.remove());
    const { tree } = staging;
    const roots = await createProjectState({
      ...options,
      root: tree,
      config,
      keks: template.keks,
    });
    for (const [path, source] of copies) {
      onStep(`copying ${path}`);
      const target = await stagedPath(tree, path);
      await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    }
    for (const [path, text] of [
      ...texts,
      [ROOTS_FILE, rootsText(roots)] as const,
      [PROJECT_FILE, options.projectText] as const,
    ])
      await writeFile(await stagedPath(tree, path), text, { flag: "wx" });
    for (const path of [...names, ROOTS_FILE, PROJECT_FILE]) {
      onStep(`placing ${path}`);
      await makeFolder(dirname(join(root, path)), undo);
      await staging.place(path);
      undo.push(() => rm(join(root, path), { force: true }));
    }
    onStep("placing .gitignore");
    await ignoreFiles(root, undo);
    onStep(`placing ${STATE_FOLDER}`);
    await staging.commit();
    undo.length = 0; // the project is whole, whatever happens to the staging folder
    onStep("clearing up");
    await staging.remove();
  } catch (error) {
    for (const step of undo.toReversed()) await step().catch(() => undefined);
    throw error;
  }
  return [PROJECT_FILE, `${STATE_FOLDER}/`, ROOTS_FILE, ...names];
}

async function stagedPath(tree: string, path: string): Promise<string> {
  const target = join(tree, path);
  await mkdir(dirname(target), { recursive: true });
  return target;
}

async function refuseExisting(
  root: string,
  paths: readonly string[],
  leftovers: Awaited<ReturnType<typeof clearLeftovers>>,
): Promise<void> {
  const found: string[] = [];
  for (const path of paths) if (await exists(join(root, path))) found.push(path);
  if (found.length === 0) return;
  const half = found.includes(STATE_FOLDER) && !found.includes(PROJECT_FILE);
  const remedies = {
    half: `if an earlier init was cut off, remove ${join(root, STATE_FOLDER)}; otherwise choose another folder`,
    completed:
      "the init before this one was cut off after it had made the project: use it as it is",
    whole: "choose another folder: ppml init DIR",
  };
  const remedy = leftovers === "completed" ? "completed" : half ? "half" : "whole";
  throw new PpmlError(
    "cli.exists",
    `${root} already has ${found.join(", ")}: nothing was changed`,
    { detail: { paths: found, remedy: remedies[remedy] } },
  );
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
  // Renamed when it is whole: a crash is not to cost lines that were there.
  const whole = join(root, STAGING, "gitignore");
  await writeFile(whole, (before ?? "") + gap + block, { flush: true });
  await rename(whole, path);
}
