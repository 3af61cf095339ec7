import { relative, resolve } from "node:path";
import { withBroker } from "../../broker-process.ts";
import { defineCommand, integerBetween } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { tablesOf } from "../../dataset-tables.ts";
import { openToFolder } from "../../open-to-folder.ts";
import { releaseToOwner } from "../../owner-release.ts";
import type { OwnerRelease } from "../../owner-release.ts";
import { showRows } from "../../show-rows.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";

type Flags = VaultFlags & {
  readonly policy?: string;
  readonly purpose?: string;
  readonly rows?: number;
  readonly out?: string;
  readonly table?: string;
};

const DEFAULT_ROWS = 20;

/** `ppml data open NAME`: opens a dataset as its owner, by a release of its own. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      ...vaultFlags,
      policy: {
        kind: "parsed",
        parse: String,
        brief: "Policy that lets the owner open (otherwise: owner)",
        placeholder: "POLICY",
        optional: true,
      },
      purpose: {
        kind: "parsed",
        parse: String,
        brief: "What for; it stands in the receipt",
        placeholder: "TEXT",
        optional: true,
      },
      rows: {
        kind: "parsed",
        parse: integerBetween(1, 100_000),
        brief: `Rows to show (otherwise: ${DEFAULT_ROWS})`,
        placeholder: "N",
        optional: true,
      },
      table: {
        kind: "parsed",
        parse: String,
        brief: "Only this table, where a job of several queries made the dataset",
        placeholder: "TABLE",
        optional: true,
      },
      out: {
        kind: "parsed",
        parse: String,
        brief: "Write the plaintext files into this folder instead",
        placeholder: "DIR",
        optional: true,
      },
    },
    positional: {
      kind: "tuple",
      parameters: [{ placeholder: "DATASET", brief: "Dataset of ppml.yaml", parse: String }],
    },
  },
  async run(context, flags, name) {
    using workspace = await openWorkspace(context, flags);
    const policy = flags.policy ?? "owner";
    return await withBroker(workspace, async (broker) => {
      using release = await releaseToOwner(workspace, {
        broker,
        dataset: name,
        policy,
        purpose: flags.purpose ?? "the owner opens the data",
        nowMs: context.clock(),
      });
      const { out, table } = flags;
      if (out !== undefined) return await writeOut(context, { release, out, table });
      return await showRows(context, { release, rows: flags.rows ?? DEFAULT_ROWS, table });
    });
  },
});

async function writeOut(
  context: CliContext,
  options: {
    readonly release: OwnerRelease;
    readonly out: string;
    readonly table: string | undefined;
  },
) {
  const { release, table } = options;
  const tables = tablesOf(release.manifest.payload, table);
  const folder = resolve(context.cwd, options.out);
  const written = await openToFolder(release, { tables, folder });
  return {
    data: { written },
    human: () =>
      `${written.map((path) => `wrote ${relative(context.cwd, path)} (plaintext)`).join("\n")}\n`,
  };
}
