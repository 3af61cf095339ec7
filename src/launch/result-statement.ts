import { toTimestamp } from "../base/index.ts";
import { RESULT_PREDICATE } from "../format/receipt.ts";
import type { ResultReceipt } from "../format/receipt.ts";
import type { FinishedJob, MadeResult } from "./job-state.ts";
import { rowsOf } from "./publish-result.ts";

/** What the TEE says of its result. @param made.digest SHA-256 of the signed manifest's payload, hex */
export function resultStatement(
  finished: FinishedJob,
  made: MadeResult & { readonly digest: string },
): ResultReceipt {
  const { launcher, job, release } = finished;
  const { manifest, digest } = made;
  const { config } = launcher;
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: manifest.name, digest: { sha256: digest } }],
    predicateType: RESULT_PREDICATE,
    predicate: {
      v: 1,
      mode: config.mode,
      profile: config.profile,
      simulated: config.profile === "sim",
      job: {
        name: job.payload.name,
        digest: job.digest,
        purpose: job.payload.purpose,
        code: job.payload.code.map((code) => code.sha256),
      },
      policy: release.policy,
      engine: { name: "sql", version: finished.result.engineVersion },
      inputs: finished.inputs.map((input) => ({
        name: input.manifest.payload.name,
        datasetId: input.manifest.payload.datasetId,
        version: input.manifest.payload.version,
        manifestDigest: input.manifest.digest,
      })),
      output: {
        name: manifest.name,
        datasetId: manifest.datasetId,
        version: manifest.version,
        manifestDigest: digest,
        merkleRoot: manifest.merkleRoot,
        kekThumbprint: job.payload.output.kekThumbprint,
        rows: rowsOf(finished.result),
      },
      runtimeData: release.runtimeData,
      evidence: release.evidence,
      releaseLogIndex: release.logIndex,
      startedAt: toTimestamp(finished.startedMs),
      finishedAt: made.finishedAt,
    },
  };
}
