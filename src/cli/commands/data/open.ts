import { relative, resolve } from "node:path";
import { withBroker } from "../../broker-process.ts";
import { defineCommand, integerBetween } from "../../command.ts";
import type { CliContext } from "../../context.ts";
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
      if (flags.out !== undefined) return await writeOut(context, { release, out: flags.out });
      return await showRows(context, { release, rows: flags.rows ?? DEFAULT_ROWS });
    });
  },
});

async function writeOut(
  context: CliContext,
  options: { readonly release: OwnerRelease; readonly out: string },
) {
  const written = await openToFolder(options.release, resolve(context.cwd, options.out));
  return {
    data: { written },
    human: () =>
      `${written.map((path) => `wrote ${relative(context.cwd, path)} (plaintext)`).join("\n")}\n`,
  };
}
