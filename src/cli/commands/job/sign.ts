import { relative } from "node:path";
import { checkQueries } from "../../../compute/sql/check-queries.ts";
import { jobSchema } from "../../../format/job.ts";
import { parseWith } from "../../../format/schema.ts";
import { envelopeDigest, signObject } from "../../../format/signed-object.ts";
import { defineCommand } from "../../command.ts";
import { floorsOf } from "../../direct-access.ts";
import { buildJob, findJob, jobPath, saveEnvelope } from "../../job-object.ts";
import { loadQueries } from "../../job-queries.ts";
import { renderFields } from "../../output/table.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";

/** `ppml job sign NAME`: signs a job of ppml.yaml with the owner's key. */
export const command = defineCommand<VaultFlags, [string]>({
  parameters: {
    flags: vaultFlags,
    positional: {
      kind: "tuple",
      parameters: [{ placeholder: "JOB", brief: "Job of ppml.yaml", parse: String }],
    },
  },
  description:
    "The signed job names its queries by their SHA-256, the columns, the purpose and the output's KEK;\n" +
    "any of them changed later is refused. What the engine would never run, such as two statements, is\n" +
    "not signed. It lies in jobs/NAME.job.json.",
  async run(context, flags, name) {
    using workspace = await openWorkspace(context, flags);
    const { project, owner } = workspace;
    const config = findJob(project, name);
    const queries = await loadQueries(project, config);
    // Before it is signed: the TEE would refuse it only after the keys are released.
    await checkQueries(queries);
    const built = await buildJob(workspace, { name, config, queries, nowMs: context.clock() });
    const floors = config.release === "direct" ? await floorsOf(workspace, config) : null;
    const whole = floors === null ? built : { ...built, floors };
    const job = parseWith(jobSchema, whole, { what: "job", code: "config.invalid" });
    const envelope = signObject("job", job, owner);
    const path = jobPath(project, name);
    await saveEnvelope(path, envelope);
    const digest = envelopeDigest(envelope);
    return {
      data: { job: name, path, digest, signer: owner.keyId, expiresAt: job.expiresAt },
      human: () =>
        renderFields(
          [
            ["signed", `job ${name}`],
            ["file", relative(context.cwd, path)],
            ["digest", digest],
            ...job.code.map((code) => ["query", `${code.name} SHA-256 ${code.sha256}`] as const),
            ...(floors === null
              ? []
              : [["release", "without a broker: no job policy will apply"] as const]),
            ["signer", owner.keyId],
            ["valid until", job.expiresAt],
          ],
          context.style,
        ),
    };
  },
});
