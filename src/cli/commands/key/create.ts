import { resolve } from "node:path";
import { readBoundedFile } from "../../../base/index.ts";
import { parseJson } from "../../../format/jcs.ts";
import { parseSkrPolicy } from "../../../release/index.ts";
import { defineCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { kekArgument } from "../../kek-arguments.ts";
import { changedKek } from "../../kek-view.ts";
import { openProjectVault, type VaultFlags, vaultFlags } from "../../vault.ts";

type Flags = VaultFlags & {
  readonly purpose?: string;
  readonly bits: "3072" | "4096";
  readonly releasePolicy?: string;
};

/** Longest file of a release policy, in bytes. */
const MAX_POLICY_BYTES = 1024 * 1024;

/** `ppml key create NAME`: makes a KEK. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      purpose: {
        kind: "parsed",
        parse: String,
        brief: "What the KEK is for, in your words",
        placeholder: "TEXT",
        optional: true,
      },
      bits: {
        kind: "enum",
        values: ["3072", "4096"],
        brief: "Length of the RSA modulus",
        default: "3072",
      },
      releasePolicy: {
        kind: "parsed",
        parse: String,
        brief: "Make it exportable, under the release policy in this JSON file",
        placeholder: "FILE",
        optional: true,
      },
      ...vaultFlags,
    },
    positional: kekArgument,
  },
  description:
    "The KEK is unwrap-only: it never leaves the vault, which unwraps after a release. With\n" +
    "--release-policy it is exportable: the vault never unwraps with it, and gives it whole to a TEE\n" +
    "that meets the policy, for ever: no purpose and no expiry limit it. Neither is changed later.",
  async run(context, flags, name) {
    using open = await openProjectVault(context, flags);
    const kek = await open.vault.createKek({
      name,
      ...(await kindOf(context, flags.releasePolicy)),
      bits: flags.bits === "4096" ? 4096 : 3072,
      ...(flags.purpose === undefined ? {} : { purpose: flags.purpose }),
    });
    return changedKek(context, kek, `Made KEK ${context.style.bold(kek.name)}.`);
  },
});

async function kindOf(context: CliContext, file: string | undefined) {
  if (file === undefined) return { kind: "unwrap-only" } as const;
  const path = resolve(context.cwd, file);
  const bytes = await readBoundedFile(path, {
    what: `the release policy ${path}`,
    maxBytes: MAX_POLICY_BYTES,
    code: "release.policy",
  });
  return { kind: "exportable", releasePolicy: parseSkrPolicy(parseJson(bytes, file)) } as const;
}
