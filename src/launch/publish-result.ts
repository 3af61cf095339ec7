import { isPpmlError, PpmlError, toTimestamp, utf8 } from "../base/index.ts";
import { manifestRoot, manifestSchema, RECEIPT_NAME } from "../format/manifest.ts";
import type { Manifest, ManifestFile } from "../format/manifest.ts";
import { RESULT_PREDICATE } from "../format/receipt.ts";
import type { ReceiptFile, ResultReceipt } from "../format/receipt.ts";
import { parseWith } from "../format/schema.ts";
import { signObject } from "../format/signed-object.ts";
import { isRefusal, publishManifest, RESULT_GROUP } from "../seal/index.ts";
import type { PublishedManifest } from "../seal/index.ts";
import type { WorkerResult } from "../compute/sql/task.ts";
import type { LaunchResult } from "./messages.ts";
import type { FinishedJob } from "./job-state.ts";

/**
 * Publishes the result's manifest, signed by the TEE's own key. Accepted it is with its receipt, which
 * enters the broker's log in the same transaction: no result is the latest without a receipt.
 */
export async function publishResult(finished: FinishedJob): Promise<LaunchResult> {
  const { launcher, release, store } = finished;
  const files = filesOf(finished);
  const finishedAt = toTimestamp(launcher.now());
  const manifest = resultManifest(finished, { files, createdAt: finishedAt });
  const signer = release.keys.signing;
  const { broker } = launcher;
  const entered: ReceiptFile[] = [];
  await publishManifest({
    store,
    manifest,
    signer,
    authority: {
      accept: async (published) => {
        entered.push(await enterReceipt(finished, { published, finishedAt }));
      },
      pinned: async () => (await broker.floor(manifest.datasetId)).minDigest,
    },
  });
  const [receiptFile] = entered;
  if (receiptFile === undefined)
    throw new PpmlError("base.internal", "a result was published without its receipt");
  await store.put(RECEIPT_NAME, [utf8(`${JSON.stringify(receiptFile)}\n`)]);
  launcher.tell({
    event: "step",
    step: "receipt",
    text: `result ${manifest.name} v${manifest.version} receipted: log entry ${receiptFile.inclusion?.index ?? "unknown"}`,
  });
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
    file: receiptFile,
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

/** Has the receipt entered in the log; a version that another run was faster with is refused. */
async function enterReceipt(
  finished: FinishedJob,
  made: { readonly published: PublishedManifest; readonly finishedAt: string },
): Promise<ReceiptFile> {
  const { launcher, release, store } = finished;
  const { manifest, envelope } = made.published;
  const receipt = signObject("receipt", resultStatement(finished, made), release.keys.signing);
  try {
    const { inclusion } = await launcher.broker.postReceipt({ v: 1, receipt, manifest: envelope });
    return { v: 1, receipt, inclusion };
  } catch (cause) {
    if (!isRefusal(cause)) throw cause;
    for (const name of finished.fileNames) await store.delete(name).catch(() => undefined);
    const isOvertaken =
      isPpmlError(cause, "broker.floor") &&
      (await launcher.broker.floor(manifest.datasetId)).minVersion >= manifest.version;
    if (!isOvertaken) throw cause;
    const message = `another run published a result of ${manifest.name} while this one ran: that one stands; run the job again for a newer one`;
    throw new PpmlError("store.conflict", message, { cause });
  }
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

function resultStatement(
  finished: FinishedJob,
  made: { readonly published: PublishedManifest; readonly finishedAt: string },
): ResultReceipt {
  const { launcher, job, release } = finished;
  const { published } = made;
  const { manifest } = published;
  const { config } = launcher;
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: manifest.name, digest: { sha256: published.digest } }],
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
      policy: release.grant.policy,
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
        manifestDigest: published.digest,
        merkleRoot: manifest.merkleRoot,
        kekThumbprint: job.payload.output.kekThumbprint,
        rows: rowsOf(finished.result),
      },
      runtimeData: release.runtimeData,
      evidence: release.evidence,
      releaseLogIndex: release.grant.logIndex,
      startedAt: toTimestamp(finished.startedMs),
      finishedAt: made.finishedAt,
    },
  };
}
