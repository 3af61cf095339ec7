import { checkPolicy } from "../../../release/index.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import { loadPolicyFile, policyArgument } from "../../policy-file.ts";

/** `ppml policy check NAME`: what is wrong with a policy's file. */
export const command = defineCommand<ProjectFlags, [string]>({
  parameters: { flags: projectFlags, positional: policyArgument },
  async run(context, flags, name) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const findings = checkPolicy(await loadPolicyFile(project, name), project.config.mode);
    const isRefused = findings.some((finding) => finding.severity === "error");
    return {
      data: { policy: name, ok: !isRefused, findings },
      human: () =>
        [
          ...findings.map(({ severity, path, message }) => `${severity}  ${path}: ${message}`),
          `policy ${name}: ${isRefused ? "cannot take effect" : "may take effect"}`,
          "",
        ].join("\n"),
      exitCode: isRefused ? 1 : 0,
    };
  },
});
