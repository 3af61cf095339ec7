import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import type { Project } from "../../config/load.ts";
import { renderTable } from "../../output/table.ts";
import { loadStoredManifest } from "../../stored-manifest.ts";
import { openStore } from "../../../store/index.ts";

/** `ppml data ls`: the datasets of ppml.yaml and what is stored of them, by unverified manifests. */
export const command = defineCommand<ProjectFlags>({
  parameters: { flags: projectFlags },
  description: "It shows what the stored manifests say, unverified: ppml data verify checks them.",
  async run(context, flags) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const names = Object.keys(project.config.datasets);
    const datasets = await Promise.all(names.map((name) => describe(project, name)));
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

async function describe(project: Project, name: string) {
  const config = project.config.datasets[name];
  const keks = config?.groups.map((group) => group.kek) ?? [];
  const store = await openStore(project.resolve(config?.store ?? ""));
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
