import { withBroker } from "../../../broker-process.ts";
import { defineCommand } from "../../../command.ts";
import { renderTable } from "../../../output/table.ts";
import { vaultFlags } from "../../../vault.ts";
import type { VaultFlags } from "../../../vault.ts";
import { openWorkspace } from "../../../workspace.ts";

/** `ppml broker resource list`: the resources by path, never their content. */
export const command = defineCommand<VaultFlags>({
  parameters: { flags: vaultFlags },
  async run(context, flags) {
    using workspace = await openWorkspace(context, flags);
    const { resources } = await withBroker(workspace, ({ client }) => client.resources());
    return {
      data: { resources },
      human: () =>
        resources.length === 0
          ? "The broker has no resources.\n"
          : renderTable({
              columns: [{ title: "path" }, { title: "version" }, { title: "sealed for" }],
              rows: resources.map(({ path, version, kekId }) => [
                path,
                String(version),
                kekId ?? "(removed)",
              ]),
              style: context.style,
            }),
    };
  },
});
