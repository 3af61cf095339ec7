import { basename, dirname, resolve } from "node:path";
import { isPpmlError } from "../base/index.ts";
import { isAbfsUri, parseAbfsUri } from "../store/index.ts";
import { PpmlError } from "../base/index.ts";
import type { ProjectFlags } from "./command.ts";
import { loadProject } from "./config/load.ts";
import type { Project } from "./config/load.ts";
import type { CliContext } from "./context.ts";
import { shownArgument } from "./shown-argument.ts";

/** The place in a data lake that an argument names. @throws cli.usage store.name */
export function lakePlace(argument: string) {
  if (isAbfsUri(argument)) return parseAbfsUri(argument);
  throw new PpmlError(
    "cli.usage",
    `expected abfss://FILESYSTEM@ACCOUNT.dfs.core.windows.net/PATH; came ${JSON.stringify(shownArgument(argument))}`,
  );
}

/** A file's folder, as `openStore` takes it, and its name in it. */
export function splitPlace(
  context: CliContext,
  argument: string,
): { readonly folder: string; readonly name: string } {
  if (!isAbfsUri(argument)) {
    const path = resolve(context.cwd, argument);
    return { folder: dirname(path), name: basename(path) };
  }
  const { uri } = parseAbfsUri(argument);
  return { folder: dirname(uri), name: basename(uri) };
}

/** The project around, or the one that is named; null where there is none and none is named. */
export async function projectAround(
  context: CliContext,
  flags: ProjectFlags,
): Promise<Project | null> {
  try {
    return await loadProject({ cwd: context.cwd, folder: flags.project });
  } catch (error) {
    if (flags.project === undefined && isPpmlError(error, "config.missing")) return null;
    throw error;
  }
}
