import { resolve } from "node:path";
import { PpmlError } from "../base/index.ts";
import { openVaultSecrets } from "../key/azure/open.ts";
import { fileSink } from "../provision/index.ts";
import type { SecretSink } from "../provision/index.ts";
import { loadProject } from "./config/load.ts";
import type { CliContext } from "./context.ts";
import { azurePlaceOf, waitingFor } from "./vault.ts";

/** The flag that sets a secret in the project's Key Vault instead of a file. */
export const vaultSecretFlag = {
  vault: {
    kind: "boolean",
    brief: "Set it as a secret of the project's Key Vault, and write no file",
    optional: true,
    withNegated: false,
  },
} as const;

/** Flags of a command that makes a secret. */
export type SecretPlaceFlags = {
  readonly out?: string;
  readonly force?: boolean;
  readonly vault?: boolean;
};

/**
 * Where a secret goes that a command made: a file, or the Key Vault that ppml.yaml names as its vault.
 * @throws cli.usage where a file is named too; config.invalid where the project's vault is not in Azure
 */
export async function secretPlace(
  context: CliContext,
  flags: SecretPlaceFlags,
  defaultOut: string,
): Promise<SecretSink> {
  const replace = flags.force === true;
  if (flags.vault !== true)
    return fileSink({ path: resolve(context.cwd, flags.out ?? defaultOut), replace });
  if (flags.out !== undefined)
    throw new PpmlError("cli.usage", "--vault writes no file: give --vault or --out");
  const project = await loadProject({ cwd: context.cwd });
  const { url } = project.config.vault;
  if (url === undefined)
    throw new PpmlError(
      "config.invalid",
      "--vault needs a project whose vault is in Azure (vault.kind: azure in ppml.yaml)",
    );
  const { transport, tenantId } = azurePlaceOf(project);
  return openVaultSecrets({ url, transport, tenantId, replace, onWait: waitingFor(context) });
}
