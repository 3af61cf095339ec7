import { constants } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { PpmlError } from "../../../base/index.ts";
import { aksId } from "../../../provision/index.ts";
import { loadAzureSection } from "../../azure/azure-project.ts";
import { parseKubeconfig } from "../../azure/kubeconfig.ts";
import { defineCommand, projectFlags, type ProjectFlags } from "../../command.ts";
import { renderFields } from "../../output/table.ts";

type Flags = ProjectFlags & { readonly file?: string; readonly force?: boolean };

/** `ppml aks credentials`: the cluster's kubeconfig, in a file of its own. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...projectFlags,
      file: {
        kind: "parsed",
        parse: String,
        brief: "Write it here (otherwise: .ppml/kubeconfig)",
        placeholder: "FILE",
        optional: true,
      },
      force: {
        kind: "boolean",
        brief: "Write over a file that is there",
        optional: true,
        withNegated: false,
      },
    },
  },
  description:
    "It has no secret in it: kubectl logs in to Entra ID by kubelogin, which has to be installed. Your\n" +
    "own kubeconfig is not touched.",
  async run(context, flags) {
    const place = { cwd: context.cwd, folder: flags.project };
    const { project, section } = await loadAzureSection(place);
    const id = aksId(section);
    if (id === null)
      throw new PpmlError("config.invalid", `${project.file} has no section "azure.aks"`);
    const { armRequest, connectAzure, toAzureFailure } = await import("../../../azure/index.ts");
    const { transport, tenant } = section;
    const connection = connectAzure({ transport, tenantId: tenant });
    const path = `${id}/listClusterUserCredential?format=exec`;
    const call = { method: "POST", path, apiVersion: "2026-05-01" } as const;
    const answer = await armRequest(connection, call).catch((error: unknown) => {
      throw toAzureFailure(error, { what: "get the cluster's kubeconfig" });
    });
    if (answer.status === 404)
      throw new PpmlError("azure.not_found", `there is no cluster ${id}`, {
        detail: { remedy: "make it: ppml azure plan, ppml azure apply" },
      });
    const { text, server, contextName } = parseKubeconfig(answer.body);
    const file = resolve(context.cwd, flags.file ?? join(project.root, ".ppml", "kubeconfig"));
    await writePrivate(file, text, flags.force === true);
    return {
      data: { ok: true, file, server, context: contextName },
      human: () =>
        renderFields(
          [
            ["server", server],
            ["context", contextName],
            ["use it", `export KUBECONFIG=${file}`],
          ],
          context.style,
        ),
    };
  },
});

async function writePrivate(path: string, text: string, isForced: boolean): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = isForced ? `${path}.ppml-part-${process.pid}` : path;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  try {
    await using file = await open(temporary, flags, 0o600);
    await file.writeFile(text);
    await file.sync();
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EEXIST")
      throw new PpmlError("cli.exists", `${path} exists: give --force, or another --file`, {
        cause,
      });
    throw cause;
  }
  if (!isForced) return;
  try {
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
