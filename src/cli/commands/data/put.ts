import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { PpmlError } from "../../../base/index.ts";
import { isAbfsUri, parseAbfsUri } from "../../../store/index.ts";
import { withBroker } from "../../broker-process.ts";
import { defineCommand } from "../../command.ts";
import type { Project } from "../../config/load.ts";
import { suggestion } from "../../config/suggest.ts";
import type { CliContext } from "../../context.ts";
import { sealIntoStore, sealSummary } from "../../seal-into-store.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";

type Flags = VaultFlags & { readonly recursive?: boolean };

/** `ppml data put SOURCE... DATASET`: seals files on their way into a dataset's store. */
export const command = defineCommand<Flags, string[]>({
  parameters: {
    flags: {
      recursive: {
        kind: "boolean",
        brief: "Take folders with all that is in them",
        optional: true,
        withNegated: false,
      },
      ...vaultFlags,
    },
    aliases: { r: "recursive" },
    positional: {
      kind: "array",
      parameter: {
        placeholder: "SOURCE... DATASET",
        brief: "Files or folders, then a dataset of ppml.yaml or its store's URI",
        parse: String,
      },
      minimum: 2,
    },
  },
  description:
    "Plaintext does not leave this machine: each file is sealed under a key of its own while it is\n" +
    "uploaded, several at once. The dataset's next version is exactly these files. Cut off (a kill, a\n" +
    "network that drops), run it again: finished files are not uploaded again.",
  async run(context, flags, ...args) {
    const target = args.at(-1) ?? "";
    const source = args.slice(0, -1).map((path) => resolve(context.cwd, path));
    await requireFiles(source, flags.recursive === true);
    using workspace = await openWorkspace(context, flags);
    const name = datasetOf(context, workspace.project, target);
    const sealed = await withBroker(workspace, (broker) =>
      sealIntoStore(context, { workspace, broker, name, source }),
    );
    return { data: sealed, human: () => sealSummary(context, [sealed]) };
  },
});

async function requireFiles(paths: readonly string[], takesFolders: boolean): Promise<void> {
  for (const path of paths) {
    const found = await stat(path).catch((cause: unknown) => {
      throw new PpmlError("seal.input", `${path} cannot be read: is it there?`, { cause });
    });
    if (found.isDirectory() && !takesFolders)
      throw new PpmlError("cli.usage", `${path} is a folder: add -r to take all that is in it`);
  }
}

/** The dataset of that name, or the one whose store is there. @throws cli.usage */
function datasetOf(context: CliContext, project: Project, target: string): string {
  const { datasets } = project.config;
  if (Object.hasOwn(datasets, target)) return target;
  const isUri = isAbfsUri(target) || /[/\\]/.test(target);
  const place = isAbfsUri(target) ? parseAbfsUri(target).uri : resolve(context.cwd, target);
  const found = Object.entries(datasets).find(([, { store }]) => project.resolve(store) === place);
  if (found !== undefined) return found[0];
  const names = Object.keys(datasets);
  throw new PpmlError(
    "cli.usage",
    isUri
      ? `no dataset of ppml.yaml has the store ${target}`
      : `ppml.yaml has no dataset "${target}"${suggestion(target, names)}`,
    {
      detail: {
        remedy: `what is sealed belongs to a dataset, which says for which KEKs: add one to ppml.yaml with "store: ${isUri ? target : "abfss://..."}"`,
      },
    },
  );
}
