import { PpmlError } from "../../../base/index.ts";
import type { AzureAccess } from "../../../store/index.ts";
import type { AzurePlace } from "../../../store/azure/uri.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { projectStores, warner } from "../../data-lake.ts";
import { lakePlace, projectAround } from "../../place-argument.ts";
import { askLine } from "../../terminal.ts";

type Flags = ProjectFlags & { readonly recursive?: boolean; readonly yes?: boolean };

/** `ppml data rm URI`: deletes a file of a data lake, or with -r a directory and all below it. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      recursive: {
        kind: "boolean",
        brief: "A directory, with all below it: asks first",
        optional: true,
        withNegated: false,
      },
      yes: { kind: "boolean", brief: "Do not ask", optional: true, withNegated: false },
      ...projectFlags,
    },
    aliases: { r: "recursive" },
    positional: {
      kind: "tuple",
      parameters: [
        {
          placeholder: "URI",
          brief: "abfss://FILESYSTEM@ACCOUNT.dfs.core.windows.net/PATH",
          parse: String,
        },
      ],
    },
  },
  description:
    "A whole filesystem is not deleted: ppml azure destroy does that. What the account keeps of deleted\n" +
    "files (soft delete, versions) it still has. On this machine, rm does it.",
  async run(context, flags, uri) {
    const place = lakePlace(uri);
    if (place.path === "")
      throw new PpmlError("cli.usage", "name what to delete in the filesystem, not all of it");
    const stores = projectStores(await projectAround(context, flags), warner(context));
    const access = await stores.accessOf(place.account);
    const { lookAt, removePath } = await import("../../../store/azure/file-system.ts");
    const kind = await lookAt(place, access);
    if (kind === null)
      throw new PpmlError("store.not_found", `there is nothing at ${place.uri}`, {
        detail: { remedy: "ppml data ls shows what is there" },
      });
    const recursive = flags.recursive === true;
    if (kind === "directory") {
      if (!recursive)
        throw new PpmlError("cli.usage", `${place.uri} is a directory: add -r to delete it whole`);
      if (flags.yes !== true) await askFirst(place, access);
    }
    await removePath(place, access, { recursive: kind === "directory" });
    return {
      data: { uri: place.uri, kind, removed: true },
      human: () => `${kind === "directory" ? "Directory" : "File"} ${place.uri} is deleted.\n`,
    };
  },
});

async function askFirst(place: AzurePlace, access: AzureAccess): Promise<void> {
  const { listLake } = await import("../../../store/azure/file-system.ts");
  const found = await listLake(place, access, { recursive: true });
  const files = found.filter(({ isDirectory }) => !isDirectory);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const name = place.path.split("/").at(-1) ?? "";
  const answer = askLine(
    `This deletes ${place.uri} with ${files.length} files (${bytes.toLocaleString("en-US")} bytes).\nType ${name} to do it:`,
  );
  if (answer !== name)
    throw new PpmlError("cli.cancelled", `expected "${name}": nothing was deleted`);
}
