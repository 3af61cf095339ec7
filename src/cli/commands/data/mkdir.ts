import { formatEntries, jobEntries, parseAclEntries, passEntry } from "../../../store/azure/acl.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { projectStores, warner } from "../../data-lake.ts";
import { lakePlace, projectAround } from "../../place-argument.ts";
import { PpmlError } from "../../../base/index.ts";

type Flags = ProjectFlags & {
  readonly reader?: readonly string[];
  readonly writer?: readonly string[];
  readonly acl?: string;
};

/** `ppml data mkdir URI`: makes a directory of a data lake, and says who may what in it. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      reader: {
        kind: "parsed",
        parse: String,
        brief: "Object id of an identity that may read it, and what comes into it",
        placeholder: "ID",
        optional: true,
        variadic: true,
      },
      writer: {
        kind: "parsed",
        parse: String,
        brief: "Object id of an identity that may read and write",
        placeholder: "ID",
        optional: true,
        variadic: true,
      },
      acl: {
        kind: "parsed",
        parse: String,
        brief: "More entries, in Azure's words: user:ID:r-x,default:user:ID:r-x",
        placeholder: "ENTRIES",
        optional: true,
      },
      ...projectFlags,
    },
    positional: {
      kind: "tuple",
      parameters: [
        {
          placeholder: "URI",
          brief: "abfss://FILESYSTEM@ACCOUNT.dfs.core.windows.net/DIRECTORY",
          parse: String,
        },
      ],
    },
  },
  description:
    "The directories above it are made too. --reader and --writer give a job's identity what it needs:\n" +
    "the directory, all that comes into it, and the way there, where it sees nothing else. Run it again\n" +
    "to let more identities in; entries that are there stay.",
  async run(context, flags, uri) {
    const place = lakePlace(uri);
    if (place.path === "")
      throw new PpmlError("cli.usage", "name a directory: abfss://FILESYSTEM@ACCOUNT.../DIRECTORY");
    const readers = flags.reader ?? [];
    const writers = flags.writer ?? [];
    const entries = [
      ...readers.flatMap((id) => jobEntries(id, "read")),
      ...writers.flatMap((id) => jobEntries(id, "write")),
      ...(flags.acl === undefined ? [] : parseAclEntries(flags.acl)),
    ];
    const pass = [...new Set([...readers, ...writers])].map((id) => passEntry(id));
    const stores = projectStores(await projectAround(context, flags), warner(context));
    const access = await stores.accessOf(place.account);
    const { makeDirectory } = await import("../../../store/azure/file-system.ts");
    const made = (await makeDirectory(place, access, { entries, pass })) === "made";
    const acl = formatEntries(entries);
    return {
      data: { uri: place.uri, made, acl: entries.length === 0 ? [] : acl.split(",") },
      human: () =>
        `Directory ${context.style.bold(place.uri)} ${made ? "is made" : "is there already"}` +
        `${acl === "" ? "" : `; its ACL has ${acl}`}.\n`,
    };
  },
});
