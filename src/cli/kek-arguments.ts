import type { CliContext } from "./context.ts";
import { proposeKekNames } from "./kek-names.ts";
import type { VaultFlags } from "./vault.ts";
import { vaultFlags } from "./vault.ts";

/** The flags of a command on a KEK or on one version of it. */
export type KekFlags = VaultFlags & { readonly kekVersion?: string };

/** Parameters of `KekFlags`. */
export const kekFlags = {
  kekVersion: {
    kind: "parsed",
    parse: String,
    brief: "One version, by its number or its id's first digits",
    placeholder: "V",
    optional: true,
  },
  ...vaultFlags,
} as const;

/** The argument NAME of a command on one KEK. */
export const kekArgument = {
  kind: "tuple",
  parameters: [
    {
      placeholder: "NAME",
      brief: "The KEK's name",
      parse: String,
      proposeCompletions(this: CliContext) {
        return proposeKekNames(this);
      },
    },
  ],
} as const;
