import { PpmlError } from "../../../base/index.ts";
import { withBroker } from "../../broker-process.ts";
import { defineCommand } from "../../command.ts";
import { sealIntoStore, sealSummary } from "../../seal-into-store.ts";
import type { SealedDataset } from "../../seal-into-store.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";

/** `ppml data seal [NAME...]`: seals the datasets that have a source. */
export const command = defineCommand<VaultFlags, string[]>({
  parameters: {
    flags: vaultFlags,
    positional: {
      kind: "array",
      parameter: {
        placeholder: "DATASET",
        brief: "Datasets of ppml.yaml (otherwise: all that have a source)",
        parse: String,
      },
    },
  },
  description:
    "Each file gets a key of its own, each column group its KEK; the manifest is signed with the\n" +
    "owner's key, and the broker accepts no older one from then on. Cut off, run it again: files that\n" +
    "are stored, and whose source is as it was, are not sealed and uploaded again.",
  async run(context, flags, ...names) {
    using workspace = await openWorkspace(context, flags);
    const { datasets } = workspace.project.config;
    const wanted =
      names.length > 0
        ? names
        : Object.keys(datasets).filter((name) => datasets[name]?.source !== undefined);
    if (wanted.length === 0)
      throw new PpmlError("seal.input", "no dataset of ppml.yaml has a source to seal");
    for (const name of wanted) workspace.dataset(name);
    const sealed = await withBroker(workspace, async (broker) => {
      const done: SealedDataset[] = [];
      for (const name of wanted)
        done.push(await sealIntoStore(context, { workspace, broker, name }));
      return done;
    });
    return { data: { sealed }, human: () => sealSummary(context, sealed) };
  },
});
