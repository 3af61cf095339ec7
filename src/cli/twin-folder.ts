import { join, resolve } from "node:path";
import { isPpmlError } from "../base/index.ts";
import { openSimulatedPlatform } from "../attest/index.ts";
import { startTwin } from "../twin/index.ts";
import type { Twin } from "../twin/index.ts";
import type { CommonFlags } from "./command.ts";
import { commonFlags } from "./command.ts";
import { loadProject } from "./config/load.ts";
import type { Project } from "./config/load.ts";
import type { CliContext } from "./context.ts";

const FOLDER = ".ppml-twin";

/** The flags of the twin's commands. */
export type TwinFlags = CommonFlags & { readonly dir?: string };

/** Parameters of `TwinFlags`. */
export const twinFlags = {
  dir: {
    kind: "parsed",
    parse: String,
    brief: `The twin's folder (otherwise: ${FOLDER} beside ppml.yaml, or here)`,
    placeholder: "DIR",
    optional: true,
  },
  ...commonFlags,
} as const;

/** The absolute path of the twin's folder. */
export async function twinFolder(context: CliContext, flags: TwinFlags): Promise<string> {
  if (flags.dir !== undefined) return resolve(context.cwd, flags.dir);
  const project = await projectAround(context);
  return join(project?.root ?? context.cwd, FOLDER);
}

/** Starts the twin of a folder in this process; the project's simulated platform is accepted by it. */
export async function startTwinHere(
  context: CliContext,
  options: { readonly folder: string; readonly log: (line: string) => void },
): Promise<Twin> {
  const project = await projectAround(context);
  const platform = project?.config.simulation?.platform;
  const roots =
    project === null || platform === undefined ? [] : rootsOf(project.resolve(platform));
  return startTwin({ ...options, clock: context.clock, simulationRoots: roots });
}

async function projectAround(context: CliContext): Promise<Project | null> {
  try {
    return await loadProject({ cwd: context.cwd });
  } catch (error) {
    if (isPpmlError(error, "config.missing")) return null;
    throw error;
  }
}

function rootsOf(platform: string): Uint8Array[] {
  try {
    return [openSimulatedPlatform(platform).root];
  } catch (error) {
    // A project whose platform is not made yet has no Evidence either.
    if (isPpmlError(error, "attest.platform")) return [];
    throw error;
  }
}
