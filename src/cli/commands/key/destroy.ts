import { PpmlError } from "../../../base/index.ts";
import type { KekInfo, KekVersionInfo } from "../../../key/index.ts";
import { defineCommand } from "../../command.ts";
import type { Project } from "../../config/load.ts";
import { kekArgument, type KekFlags, kekFlags } from "../../kek-arguments.ts";
import { changedKek } from "../../kek-view.ts";
import { askLine } from "../../terminal.ts";
import { findKek, findVersion, openProjectVault } from "../../vault.ts";

type Flags = KekFlags & { readonly yes?: boolean };

const NOT_REACHED =
  "Not reached: backups and copies of the vault's file (with its root key or passphrase they still open what is sealed), keys released before, and plaintext results.";

/** `ppml key destroy NAME`: for ever, asked twice. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      yes: {
        kind: "boolean",
        brief: "Do not ask",
        optional: true,
        withNegated: false,
      },
      ...kekFlags,
    },
    positional: kekArgument,
  },
  description:
    "Nothing wrapped under it can be opened again. It asks twice on the terminal. Backups of the\n" +
    "vault are not reached; exports of the public half let others seal, not open.",
  async run(context, flags, name) {
    using open = await openProjectVault(context, flags);
    const kek = await findKek(open.vault, name);
    const version = flags.kekVersion === undefined ? undefined : findVersion(kek, flags.kekVersion);
    if (flags.yes !== true) askTwice({ kek, version, project: open.project });
    const after = await open.vault.destroyKek(kek.kekId, version?.kekVersion);
    const what = version === undefined ? "KEK" : `Version ${version.number} of KEK`;
    return changedKek(
      context,
      after,
      `${what} ${context.style.bold(kek.name)} ${saidOf(after)}\n${NOT_REACHED}`,
    );
  },
});

/** Shredded is said of what was purged alone: a deleted key comes back as long as the vault keeps it. */
function saidOf({ state, recoverableUntil, kekId }: KekInfo): string {
  if (state === "deleted")
    return `is deleted, and not destroyed yet: until ${recoverableUntil ?? "its purge"} whoever may recover keys can bring it back. Key Vault purges it then; before that nothing is shredded.`;
  return kekId.startsWith("https://")
    ? "is purged: the vault has shredded it."
    : "is destroyed in this vault.";
}

function askTwice(asked: {
  readonly kek: KekInfo;
  readonly version: KekVersionInfo | undefined;
  readonly project: Project;
}): void {
  const { kek, version, project } = asked;
  const what = version === undefined ? "the KEK" : `version ${version.number} of the KEK`;
  const users = datasetsUnder(project, kek.name);
  const used =
    users.length === 0
      ? "No dataset of ppml.yaml names it; others may."
      : `ppml.yaml seals for it: ${users.join(", ")}.`;
  agree(
    `This destroys ${what} ${kek.name} for ever. What is wrapped under it cannot be opened again, by anybody.\n${used}\nType the KEK's name to go on:`,
    kek.name,
  );
  agree(
    `${NOT_REACHED}\nExports of the public half stay valid: what others seal with them from now on is lost.\nType destroy to do it:`,
    "destroy",
  );
}

function agree(question: string, expected: string): void {
  if (askLine(question) === expected) return;
  throw new PpmlError("cli.cancelled", `expected "${expected}": nothing was destroyed`);
}

function datasetsUnder(project: Project, kekName: string): readonly string[] {
  return Object.entries(project.config.datasets).flatMap(([name, dataset]) =>
    dataset.groups
      .filter((group) => group.kek === kekName)
      .map((group) => `${name} (group ${group.name})`),
  );
}
