import { resolve } from "node:path";
import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import { projectRoots } from "../../pinned-roots.ts";
import { loadReferences } from "../../reference-file.ts";
import { describeReferences } from "../../show-references.ts";

/** `ppml policy references FILE`: the reference sets of a file, whose signature is checked. */
export const command = defineCommand<ProjectFlags, [string]>({
  parameters: {
    flags: projectFlags,
    positional: {
      kind: "tuple",
      parameters: [{ placeholder: "FILE", brief: "The file of reference values", parse: String }],
    },
  },
  async run(context, flags, file) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const { owner } = await projectRoots(project);
    const values = await loadReferences(resolve(context.cwd, file), owner);
    return { data: values, human: () => describeReferences(values, context.style) };
  },
});
