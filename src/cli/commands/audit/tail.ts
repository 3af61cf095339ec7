import { verifyLogHead } from "../../../receipt/index.ts";
import { auditLines } from "../../../receipt/index.ts";
import { withBroker } from "../../broker-process.ts";
import { defineCommand, integerBetween } from "../../command.ts";
import { projectRoots } from "../../pinned-roots.ts";
import { readLog } from "../../read-log.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";

type Flags = VaultFlags & { readonly lines?: number };

const DEFAULT_LINES = 20;

/** `ppml audit tail`: the last decisions and results, one line each. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...vaultFlags,
      lines: {
        kind: "parsed",
        parse: integerBetween(1, 100_000),
        brief: `Entries to show (otherwise: ${DEFAULT_LINES})`,
        placeholder: "N",
        optional: true,
      },
    },
  },
  async run(context, flags) {
    using workspace = await openWorkspace(context, flags);
    const { logKey } = await projectRoots(workspace.project);
    const { from, entries } = await withBroker(workspace, async ({ client }) => {
      const { size } = verifyLogHead((await client.logHead()).head, logKey);
      const first = Math.max(0, size - (flags.lines ?? DEFAULT_LINES));
      return { from: first, entries: (await readLog(client, first)).entries };
    });
    const lines = auditLines(entries, from);
    return {
      data: { from, entries },
      human: () => (lines.length === 0 ? "the log is empty\n" : `${lines.join("\n")}\n`),
    };
  },
});
