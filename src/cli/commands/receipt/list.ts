import { readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";

/** `ppml receipt list`: the receipt files of the project. */
export const command = defineCommand<ProjectFlags>({
  parameters: { flags: projectFlags },
  async run(context, flags) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const folder = join(project.root, "receipts");
    const names = await readdir(folder).catch(() => []);
    const files = names
      .filter((name) => name.endsWith(".receipt.json"))
      .sort()
      .map((name) => relative(context.cwd, join(folder, name)));
    return {
      data: { files },
      human: () => (files.length === 0 ? "no receipts yet\n" : `${files.join("\n")}\n`),
    };
  },
});
