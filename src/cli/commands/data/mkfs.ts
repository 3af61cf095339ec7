import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { projectStores, warner } from "../../data-lake.ts";
import { lakePlace, projectAround } from "../../place-argument.ts";

/** `ppml data mkfs URI`: makes a filesystem of a data lake. */
export const command = defineCommand<ProjectFlags, [string]>({
  parameters: {
    flags: projectFlags,
    positional: {
      kind: "tuple",
      parameters: [
        {
          placeholder: "URI",
          brief: "abfss://FILESYSTEM@ACCOUNT.dfs.core.windows.net",
          parse: String,
        },
      ],
    },
  },
  description:
    "The storage account has to be there: ppml azure apply makes one. A filesystem that is there already\n" +
    "is left as it is.",
  async run(context, flags, uri) {
    const place = lakePlace(uri);
    const stores = projectStores(await projectAround(context, flags), warner(context));
    const access = await stores.accessOf(place.account);
    const { makeFilesystem } = await import("../../../store/azure/file-system.ts");
    const made = await makeFilesystem({ ...place, path: "" }, access);
    const { account, filesystem } = place;
    return {
      data: { account, filesystem, made },
      human: () =>
        `Filesystem ${context.style.bold(filesystem)} of ${account} ${made ? "is made" : "is there already"}.\n`,
    };
  },
});
