import { join, resolve } from "node:path";
import { isPpmlError, PpmlError } from "../base/index.ts";
import { openSimulatedPlatform } from "../attest/index.ts";
import { isAbfsUri } from "../store/index.ts";
import { AZURITE_REMEDY, isAzuriteInstalled, startTwin } from "../twin/index.ts";
import type { Twin } from "../twin/index.ts";
import type { CommonFlags } from "./command.ts";
import { commonFlags } from "./command.ts";
import { loadProject } from "./config/load.ts";
import type { Project } from "./config/load.ts";
import type { CliContext } from "./context.ts";
import { simulatedMark } from "./output/style.ts";

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

/** The flags of the commands that start a twin. */
export type TwinStartFlags = TwinFlags & {
  readonly subscription?: string;
  readonly tenant?: string;
};

const idFlag = (what: string, placeholder: string) =>
  ({
    kind: "parsed",
    parse: parseId,
    brief: `The ${what}'s id, at the first start (otherwise: ppml.yaml's, or a random one)`,
    placeholder,
    optional: true,
  }) as const;

/** Parameters of `TwinStartFlags`. */
export const twinStartFlags = {
  ...twinFlags,
  subscription: idFlag("subscription", "ID"),
  tenant: idFlag("tenant", "ID"),
} as const;

/** The absolute path of the twin's folder. */
export async function twinFolder(context: CliContext, flags: TwinFlags): Promise<string> {
  if (flags.dir !== undefined) return resolve(context.cwd, flags.dir);
  const project = await projectAround(context);
  return join(project?.root ?? context.cwd, FOLDER);
}

/**
 * Starts the twin of a folder in this process. Its first start takes the ids of the project's section
 * `azure`, so that the same file is good for both; the first operator is who everybody logs in as.
 * The project's simulated platform is accepted by it.
 * @throws twin.held twin.state, also where a flag names another id than the twin has
 */
export async function startTwinHere(
  context: CliContext,
  options: {
    readonly folder: string;
    readonly flags: TwinStartFlags;
    readonly log: (line: string) => void;
  },
): Promise<Twin> {
  const { folder, flags, log } = options;
  const project = await projectAround(context);
  const azure = project?.config.azure;
  const platform = project?.config.simulation?.platform;
  const roots =
    project === null || platform === undefined ? [] : rootsOf(project.resolve(platform));
  const twin = await startTwin({
    folder,
    log,
    clock: context.clock,
    simulationRoots: roots,
    ids: {
      subscriptionId: flags.subscription ?? azure?.subscription,
      tenantId: flags.tenant ?? azure?.tenant,
      ownerObjectId: azure?.operators[0]?.objectId,
    },
  });
  try {
    refuseOtherIds(twin, { folder, flags });
  } catch (error) {
    await twin.close();
    throw error;
  }
  return twin;
}

/** What to know before a program runs in the twin: that it is no Azure, and what does not fit. */
export async function twinNotes(
  context: CliContext,
  twin: Pick<Twin, "subscriptionId">,
): Promise<readonly string[]> {
  const mark = simulatedMark(context.talkStyle);
  const notes = [
    `${mark}: what follows talks to the double of Azure on this machine, not to Azure.`,
  ];
  const project = await projectAround(context);
  const azure = project?.config.azure;
  const stores = Object.values(project?.config.datasets ?? {}).map(({ store }) => store);
  if ((azure?.storage !== undefined || stores.some(isAbfsUri)) && !isAzuriteInstalled())
    notes.push(
      `Storage does not answer here: Azurite, which keeps the double's blobs, is missing; ${AZURITE_REMEDY}`,
    );
  if (azure === undefined) return notes;
  if (azure.transport === "direct")
    notes.push(
      "ppml.yaml has azure.transport: direct, so ppml itself would talk to Azure: set environment for the double.",
    );
  if (azure.subscription !== twin.subscriptionId)
    notes.push(
      `ppml.yaml has the subscription ${azure.subscription}, the twin ${twin.subscriptionId}: remove the twin's folder, and it begins anew with that of ppml.yaml.`,
    );
  return notes;
}

function refuseOtherIds(
  twin: Twin,
  { folder, flags }: { readonly folder: string; readonly flags: TwinStartFlags },
): void {
  const wanted = [
    ["subscription", flags.subscription, twin.subscriptionId],
    ["tenant", flags.tenant, twin.tenantId],
  ] as const;
  for (const [what, asked, has] of wanted)
    if (asked !== undefined && asked !== has)
      throw new PpmlError(
        "twin.state",
        `the twin in ${folder} has the ${what} ${has}, not ${asked}: remove the folder to begin anew, or name another`,
      );
}

function parseId(text: string): string {
  const id = text.toLowerCase();
  if (/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(id)) return id;
  throw new SyntaxError("expected a GUID");
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
