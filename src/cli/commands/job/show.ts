import { jobSchema } from "../../../format/job.ts";
import { peekObject } from "../../../format/signed-object.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import { loadSignedJob } from "../../job-object.ts";
import { renderFields } from "../../output/table.ts";

/** `ppml job show NAME`: what a signed job says. */
export const command = defineCommand<ProjectFlags, [string]>({
  parameters: {
    flags: projectFlags,
    positional: {
      kind: "tuple",
      parameters: [{ placeholder: "JOB", brief: "Job of ppml.yaml", parse: String }],
    },
  },
  async run(context, flags, name) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const envelope = await loadSignedJob(project, name);
    const { payload, digest, keyId } = peekObject({ kind: "job", schema: jobSchema, envelope });
    const inputs = payload.inputs.map(
      (input) =>
        `${input.name} (${input.columns === null ? "whole files" : input.columns.join(", ")})`,
    );
    return {
      data: { digest, signer: keyId, job: payload },
      human: () =>
        renderFields(
          [
            ["job", payload.name],
            ["digest", digest],
            ["signer", `${keyId} (not checked here: the policy decides)`],
            ["policy", payload.policy],
            ["purpose", payload.purpose],
            ...payload.code.map((code) => ["query", `${code.name} ${code.sha256}`] as const),
            ["inputs", inputs.join("; ")],
            ["output", `${payload.output.name}, for KEK ${payload.output.kekId}`],
            ["output key", payload.output.kekThumbprint],
            ["valid", `${payload.issuedAt} to ${payload.expiresAt}`],
          ],
          context.style,
        ),
    };
  },
});
