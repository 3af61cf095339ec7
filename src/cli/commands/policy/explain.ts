import { explainPolicy } from "../../../release/index.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import { loadPolicyFile, policyArgument } from "../../policy-file.ts";

/** `ppml policy explain NAME`: who gets which keys when, in plain words. */
export const command = defineCommand<ProjectFlags, [string]>({
  parameters: { flags: projectFlags, positional: policyArgument },
  async run(context, flags, name) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const lines = explainPolicy(await loadPolicyFile(project, name));
    return { data: { policy: name, lines }, human: () => `${lines.join("\n")}\n` };
  },
});
