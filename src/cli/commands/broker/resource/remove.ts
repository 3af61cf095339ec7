import { PpmlError } from "../../../../base/index.ts";
import type { Resource } from "../../../../format/resource.ts";
import { signObject } from "../../../../format/signed-object.ts";
import { withBroker } from "../../../broker-process.ts";
import { defineCommand } from "../../../command.ts";
import { resourceArgument, resourceAt } from "../../../resource-argument.ts";
import { vaultFlags } from "../../../vault.ts";
import type { VaultFlags } from "../../../vault.ts";
import { openWorkspace } from "../../../workspace.ts";

/** `ppml broker resource remove PATH`: no guest gets it any more. */
export const command = defineCommand<VaultFlags, [string]>({
  parameters: { flags: vaultFlags, positional: resourceArgument },
  description:
    "The owner signs the removal. An older content never comes back; guests that have it keep it.",
  async run(context, flags, path) {
    using workspace = await openWorkspace(context, flags);
    const version = await withBroker(workspace, async ({ client }) => {
      const entry = await resourceAt(client, path);
      if (entry === null || entry.kekId === null)
        throw new PpmlError("broker.resource", `the broker has no resource ${path} to remove`, {
          detail: { remedy: "ppml broker resource list" },
        });
      const next = entry.version + 1;
      const removal: Resource = { v: 1, path, version: next, sealed: null };
      await client.putResource(signObject("resource", removal, workspace.owner));
      return next;
    });
    return {
      data: { removed: { path, version } },
      human: () => `Removed ${path}, by version ${version}.\n`,
    };
  },
});
