import { PpmlError, toTimestamp } from "../base/index.ts";
import { manifestRoot, manifestSchema } from "../format/manifest.ts";
import type { Manifest, ManifestFile } from "../format/manifest.ts";
import { parseWith } from "../format/schema.ts";
import { RESULT_GROUP } from "../seal/table-key.ts";
import type { WorkerResult } from "../compute/sql/task.ts";
import type { LaunchResult } from "./messages.ts";
import type { FinishedJob } from "./job-state.ts";

/** Makes the result's manifest and has it published with its receipt, as the authority does it. */
export async function publishResult(finished: FinishedJob): Promise<LaunchResult> {
  const { launcher } = finished;
  const files = filesOf(finished);
  const finishedAt = toTimestamp(launcher.now());
  const manifest = resultManifest(finished, { files, createdAt: finishedAt });
  const file = await launcher.authority.publish(finished, { manifest, finishedAt });
  const { datasetId, name, version } = manifest;
  return {
    datasetId,
    name,
    version,
    rows: rowsOf(finished.result),
    bytes: files.reduce((sum, { length }) => sum + length, 0),
    results: finished.result.results.map((one, at) => ({
      name: one.name,
      rows: one.rows,
      bytes: files[at]?.length ?? 0,
    })),
    file,
  };
}

/** Rows of all results together. */
export function rowsOf({ results }: WorkerResult): number {
  return results.reduce((sum, { rows }) => sum + rows, 0);
}

function filesOf({ result, fileNames }: FinishedJob): ManifestFile[] {
  return result.results.map(({ sealed, rows }, at) => {
    const name = fileNames[at];
    if (sealed === null || name === undefined || result.results.length !== fileNames.length)
      throw new PpmlError("base.internal", "the worker did not seal a result for each query");
    return {
      name,
      kind: "table",
      fileId: sealed.fileId,
      length: sealed.length,
      size: rows,
      digest: sealed.footerDigest,
    };
  });
}

function resultManifest(
  finished: FinishedJob,
  made: { readonly files: readonly ManifestFile[]; readonly createdAt: string },
): Manifest {
  const { results } = finished.result;
  const [only] = results;
  const { datasetId, name, kekId } = finished.job.payload.output;
  return parseWith(
    manifestSchema,
    {
      v: 1,
      datasetId,
      name,
      version: finished.version,
      createdAt: made.createdAt,
      files: made.files,
      localKeys: [{ ...finished.wrapped, group: RESULT_GROUP }],
      groups: [{ name: RESULT_GROUP, kekId, columns: null }],
      schema: results.length === 1 ? only?.schema : null,
      ...(results.length === 1
        ? {}
        : {
            tables: results.map(({ name: table, schema }, at) => ({
              name: table,
              file: made.files[at]?.name,
              schema,
            })),
          }),
      merkleRoot: manifestRoot(made.files),
    },
    { what: "result manifest" },
  );
}
