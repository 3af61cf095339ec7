import { PpmlError } from "../../../base/index.ts";
import {
  destroyStack,
  type Destruction,
  nameOfId,
  planDestroy,
  stackName,
  typeOfId,
} from "../../../provision/azure/deploy/index.ts";
import { loadAzureProject } from "../../azure/azure-project.ts";
import { connectSection } from "../../azure/connect.ts";
import { takeSecretRoles } from "../../azure/secret-roles.ts";
import { defineCommand, projectFlags, type ProjectFlags } from "../../command.ts";
import { askLine } from "../../terminal.ts";

type Flags = ProjectFlags & {
  readonly yes?: boolean;
  readonly deleteVault?: readonly string[];
  readonly deleteData?: readonly string[];
};

/** `ppml azure destroy`: what the stack made, but keys and data only where they are named. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...projectFlags,
      yes: { kind: "boolean", brief: "Do not ask", optional: true, withNegated: false },
      deleteVault: {
        kind: "parsed",
        parse: String,
        brief: "Delete this vault too, with all KEKs in it (recoverable while it is soft-deleted)",
        placeholder: "NAME",
        optional: true,
        variadic: true,
      },
      deleteData: {
        kind: "parsed",
        parse: String,
        brief: "Delete this storage account too, with all data in it, for ever",
        placeholder: "ACCOUNT",
        optional: true,
        variadic: true,
      },
    },
  },
  description:
    "Only what the deployment stack made is deleted: nothing else of the resource group, nor the group.\n" +
    "Killed or failed half-way: run it again.",
  async run(context, flags) {
    const place = { cwd: context.cwd, folder: flags.project };
    const { section, template } = await loadAzureProject(place);
    const { arm, connection } = await connectSection(section);
    const stack = await arm.stack();
    const name = stackName(section);
    if (stack === null)
      return {
        data: { ok: true, deleted: [], kept: [] },
        human: () => `There is no ${name} in ${section.resourceGroup}: nothing was to be done.\n`,
      };
    const destruction = planDestroy(stack, {
      vaults: flags.deleteVault ?? [],
      accounts: flags.deleteData ?? [],
    });
    if (flags.yes !== true) {
      context.talk(listing(destruction));
      if (askLine(`Type ${name} to delete this:`) !== name)
        throw new PpmlError("cli.cancelled", "nothing was deleted");
    }
    using _ = context.progress({ label: "Deleting" });
    await takeSecretRoles(connection, section);
    await destroyStack({ port: arm, section, template, destruction });
    const { deletes, keeps } = destruction;
    return {
      data: { ok: true, deleted: deletes, kept: keeps },
      human: () =>
        `${deletes.length} resources are deleted.\n` +
        (keeps.length === 0
          ? ""
          : `Kept, and no longer managed, because they were not named:\n${lines(keeps)}\n`),
    };
  },
});

function listing({ deletes, keeps }: Destruction): string {
  const kept = keeps.length === 0 ? "" : `\nKept, because they hold keys or data:\n${lines(keeps)}`;
  return `To be deleted:\n${lines(deletes)}${kept}`;
}

function lines(ids: readonly string[]): string {
  return ids.map((id) => `  ${typeOfId(id)} ${nameOfId(id)}`).join("\n");
}
