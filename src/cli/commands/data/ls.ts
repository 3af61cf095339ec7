import { resolve } from "node:path";
import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import type { Project } from "../../config/load.ts";
import { renderTable } from "../../output/table.ts";
import { loadStoredManifest } from "../../stored-manifest.ts";
import { isAbfsUri, openLocalStore, parseAbfsUri } from "../../../store/index.ts";
import type { LakePath } from "../../../store/azure/file-system.ts";
import type { CliContext } from "../../context.ts";
import { projectStores, warner } from "../../data-lake.ts";
import type { ProjectStores } from "../../data-lake.ts";
import { projectAround } from "../../place-argument.ts";

type Flags = ProjectFlags & { readonly recursive?: boolean };

/** `ppml data ls [PLACE]`: the datasets of ppml.yaml, or what is stored at a place. */
export const command = defineCommand<Flags, [string?]>({
  parameters: {
    flags: {
      recursive: {
        kind: "boolean",
        brief: "With PLACE: all that is below it",
        optional: true,
        withNegated: false,
      },
      ...projectFlags,
    },
    aliases: { r: "recursive" },
    positional: {
      kind: "tuple",
      parameters: [
        {
          placeholder: "PLACE",
          brief: "A folder, or an abfss: URI (otherwise: the datasets of ppml.yaml)",
          parse: String,
          optional: true,
        },
      ],
    },
  },
  description:
    "Of datasets it shows what the stored manifests say, unverified: ppml data verify checks them. Of a\n" +
    "place it shows what the storage says.",
  async run(context, flags, place) {
    if (place !== undefined) return listPlace(context, flags, place);
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const stores = projectStores(project, warner(context));
    const names = Object.keys(project.config.datasets);
    const datasets = await Promise.all(names.map((name) => describe(project, { name, stores })));
    return {
      data: { datasets },
      human: () =>
        renderTable({
          columns: [
            { title: "DATASET" },
            { title: "VERSION", align: "right" },
            { title: "FILES", align: "right" },
            { title: "ROWS", align: "right" },
            { title: "BYTES", align: "right" },
            { title: "KEKS" },
          ],
          rows: datasets.map((one) => [
            one.dataset,
            one.version === null ? "not sealed" : `v${one.version}`,
            String(one.files),
            one.rows.toLocaleString("en-US"),
            one.bytes.toLocaleString("en-US"),
            one.keks.join(", "),
          ]),
          style: context.style,
        }),
    };
  },
});

async function listPlace(context: CliContext, flags: Flags, argument: string) {
  const found = await pathsAt(context, flags, argument);
  return {
    data: { paths: found },
    human: () =>
      renderTable({
        columns: [
          { title: "PERMISSIONS" },
          { title: "BYTES", align: "right" },
          { title: "MODIFIED" },
          { title: "PATH" },
        ],
        rows: found.map((one) => [
          one.permissions,
          one.isDirectory ? "" : one.size.toLocaleString("en-US"),
          one.modified ?? "",
          `${one.path}${one.isDirectory ? "/" : ""}`,
        ]),
        style: context.style,
      }),
  };
}

async function pathsAt(
  context: CliContext,
  flags: Flags,
  argument: string,
): Promise<readonly LakePath[]> {
  const recursive = flags.recursive === true;
  if (isAbfsUri(argument)) {
    const place = parseAbfsUri(argument);
    const stores = projectStores(await projectAround(context, flags), warner(context));
    const { listLake } = await import("../../../store/azure/file-system.ts");
    return listLake(place, await stores.accessOf(place.account), { recursive });
  }
  const store = openLocalStore(resolve(context.cwd, argument));
  const found = new Map<string, LakePath>();
  for await (const { name, size } of store.list("")) {
    const [first = "", ...rest] = name.split("/");
    const isDirectory = rest.length > 0 && !recursive;
    const path = isDirectory ? first : name;
    const shown = { path, isDirectory, size: isDirectory ? 0 : size };
    found.set(path, { ...shown, modified: null, permissions: "" });
  }
  return [...found.values()];
}

async function describe(
  project: Project,
  of: { readonly name: string; readonly stores: ProjectStores },
) {
  const { name, stores } = of;
  const config = project.config.datasets[name];
  const keks = config?.groups.map((group) => group.kek) ?? [];
  const store = await stores.open(project.resolve(config?.store ?? ""));
  const manifest = (await loadStoredManifest(store, name))?.unverified.payload;
  const files = manifest?.files ?? [];
  return {
    dataset: name,
    version: manifest?.version ?? null,
    files: files.length,
    rows: sum(files.map((file) => (file.kind === "table" ? file.size : 0))),
    bytes: sum(files.map((file) => file.length)),
    keks,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
