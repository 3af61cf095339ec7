import { loadProject, type Project } from "./config/load.ts";
import type { CliContext } from "./context.ts";
import { openVaultOf } from "./vault.ts";

/**
 * Names of KEKs to propose while a command line is typed: those of the vault where a root-key file
 * opens it, otherwise those that ppml.yaml names. Never asks for anything; gives none where there is
 * no project, or where something of it cannot be read: a command will say why.
 */
export async function proposeKekNames(context: Pick<CliContext, "cwd">): Promise<string[]> {
  try {
    const project = await loadProject({ cwd: context.cwd });
    const { rootKeyFile, url } = project.config.vault;
    // Neither a passphrase nor Azure is asked while a person types.
    return rootKeyFile === undefined || url !== undefined
      ? namedInProject(project)
      : await namedInVault(project);
  } catch {
    return [];
  }
}

async function namedInVault(project: Project): Promise<string[]> {
  using open = await openVaultOf(project);
  return (await open.vault.listKeks()).map(({ name }) => name);
}

function namedInProject({ config }: Project): string[] {
  const groups = Object.values(config.datasets).flatMap((dataset) => dataset.groups);
  return [...new Set(groups.map(({ kek }) => kek))].toSorted();
}
