import { resolve } from "node:path";
import { readBoundedFile } from "../../../base/index.ts";
import { parseJson } from "../../../format/jcs.ts";
import { parseEnvelope } from "../../../format/signed-object.ts";
import { verifyLog } from "../../../receipt/index.ts";
import { withBroker } from "../../broker-process.ts";
import { defineCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { projectRoots } from "../../pinned-roots.ts";
import { readLog } from "../../read-log.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";
import { writeJson } from "../../write-json.ts";

const MAX_HEAD_BYTES = 64 * 1024;

type Flags = VaultFlags & { readonly since?: string; readonly save?: string };

/** `ppml audit verify`: recomputes the log's root, and that it still begins as an earlier head saw. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...vaultFlags,
      since: {
        kind: "parsed",
        parse: String,
        brief: "An earlier head, as --save wrote it",
        placeholder: "FILE",
        optional: true,
      },
      save: {
        kind: "parsed",
        parse: String,
        brief: "Write the verified head into this file, for --since",
        placeholder: "FILE",
        optional: true,
      },
    },
  },
  async run(context, flags) {
    using workspace = await openWorkspace(context, flags);
    const { logKey } = await projectRoots(workspace.project);
    const since = flags.since === undefined ? null : await loadHead(context, flags.since);
    const { entries, head } = await withBroker(workspace, ({ client }) => readLog(client, 0));
    const report = verifyLog({ entries, head, since, logKey });
    if (flags.save !== undefined)
      await writeJson(resolve(context.cwd, flags.save), head, { mode: "replace" });
    return {
      data: report,
      human: () =>
        [
          `log verified: ${report.size} entries, root ${report.head.root}`,
          ...(report.since === null
            ? []
            : [`it still begins with the ${report.since} entries of the earlier head`]),
          ...report.doesNotProve.map((sentence) => `  not proved: ${sentence}`),
          "",
        ].join("\n"),
    };
  },
});

async function loadHead(context: CliContext, file: string) {
  const bytes = await readBoundedFile(resolve(context.cwd, file), {
    what: `the earlier head ${file}`,
    maxBytes: MAX_HEAD_BYTES,
    code: "receipt.log",
  });
  return parseEnvelope(parseJson(bytes, file));
}
