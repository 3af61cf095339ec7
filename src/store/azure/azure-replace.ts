import type { BlobClient, BlockBlobClient } from "@azure/storage-blob";
import { PpmlError } from "../../base/index.ts";
import { checkRange } from "../local-io.ts";
import type { ReplacePart } from "../store.ts";
import { STORAGE_SCOPE } from "./access.ts";
import type { AzureAccess } from "./access.ts";
import { commitBlocks, requireEtag } from "./commit.ts";
import { changed, serviceCode } from "./failure.ts";
import { planBlocks } from "./replace.ts";
import type { ReplaceStep } from "./replace.ts";
import { withRetries } from "./retry.ts";
import type { RetryPolicy } from "./retry.ts";
import { azureSource } from "./source.ts";
import { stageBytes } from "./upload.ts";
import type { StagedBlock } from "./upload.ts";

/** A new version to make of an object. */
export type AzureReplace = {
  readonly access: AzureAccess;
  readonly retries: RetryPolicy;
  readonly uri: string;
  readonly name: string;
  readonly source: BlockBlobClient;
  /** The same as `source`, or the object of the other name. */
  readonly target: BlockBlobClient;
  readonly targetName: string;
  readonly ifMatch: string;
  readonly parts: readonly ReplacePart[];
};

const STEPS_AT_ONCE = 4;
const READ_BYTES = 8 * 1024 * 1024;
/** Answers that say that the service cannot copy here: then the bytes go through this process. */
const CANNOT_COPY = new Set([
  "CannotVerifyCopySource",
  "FeatureNotYetSupported",
  "CopyAcrossAccountsNotSupported",
  "UnsupportedHeader",
]);

/**
 * Makes a new version of an object out of ranges of the old one and new bytes. Whole blocks of the
 * same object are committed again and not moved; other ranges are copied inside the service, and only
 * where it cannot do so, or asks for the account's key, through this process.
 * @throws store.conflict, base.out_of_bounds, errors of the SDK
 */
export async function replaceBlocks(edit: AzureReplace): Promise<{ etag: string; size: number }> {
  const { source, target, ifMatch, name, retries } = edit;
  const isSame = edit.name === edit.targetName;
  const old = await withRetries(retries, () => readVersion(edit));
  for (const part of edit.parts)
    if ("keep" in part) checkRange(part.keep.offset, part.keep.length, old.size);
  const steps = planBlocks(edit.parts, { blocks: isSame ? old.blocks : [] });
  await stageSteps(edit, { steps, size: old.size });
  if (!isSame) {
    // Copies carry no condition on their source: if it is that version still, all were of it.
    const { etag } = await withRetries(retries, () => source.getProperties());
    if (requireEtag(etag, name) !== ifMatch) throw changed(name);
  }
  return commitBlocks({
    client: target,
    name: edit.targetName,
    blocks: steps.map(({ block }) => block),
    condition: isSame ? { ifMatch } : {},
    retries,
  });
}

async function readVersion({
  source,
  ifMatch,
  name,
}: AzureReplace): Promise<{ readonly size: number; readonly blocks: readonly StagedBlock[] }> {
  const list = await source.getBlockList("committed").catch((error: unknown) => {
    const code = serviceCode(error);
    throw code === "BlobNotFound" ? changed(name, error) : error;
  });
  if (requireEtag(list.etag, name) !== ifMatch) throw changed(name);
  const size = list.blobContentLength ?? -1;
  if (!Number.isSafeInteger(size) || size < 0)
    throw new PpmlError("store.io", `the storage gave no size of "${name}"`);
  const blocks = (list.committedBlocks ?? []).map((one) => ({ id: one.name, length: one.size }));
  const sum = blocks.reduce((total, { length }) => total + length, 0);
  // An object that was put in one piece has no blocks; another sum is a lie, and then none is used.
  return { size, blocks: sum === size ? blocks : [] };
}

async function stageSteps(
  edit: AzureReplace,
  plan: { readonly steps: readonly ReplaceStep[]; readonly size: number },
): Promise<void> {
  const { target, retries } = edit;
  const rest = plan.steps.values();
  const worker = async (): Promise<void> => {
    for (const step of rest)
      if (step.kind === "send")
        await stageBytes({ client: target, retries }, step.block.id, step.bytes);
      else if (step.kind === "copy") await copyStep(edit, step, plan.size);
  };
  await Promise.all(Array.from({ length: STEPS_AT_ONCE }, worker));
}

type CopyStep = Extract<ReplaceStep, { kind: "copy" }>;

async function copyStep(edit: AzureReplace, step: CopyStep, size: number): Promise<void> {
  if (edit.access.sharedKey === undefined)
    try {
      await withRetries(edit.retries, () => copyInService(edit, step));
      return;
    } catch (error) {
      if (!CANNOT_COPY.has(serviceCode(error))) throw error;
    }
  await copyThrough(edit, step, size);
}

async function copyInService(edit: AzureReplace, step: CopyStep): Promise<void> {
  const { access, source, target } = edit;
  const { block, offset } = step;
  const token = await access.credential.getToken(STORAGE_SCOPE);
  if (token === null)
    throw new PpmlError("azure.login", "there is no login at Azure: run `az login`");
  await target.stageBlockFromURL(block.id, source.url, offset, block.length, {
    sourceAuthorization: { scheme: "Bearer", value: token.token },
  });
}

/** A copied piece is at most 32 MiB, and held as a whole. */
async function copyThrough(edit: AzureReplace, step: CopyStep, size: number): Promise<void> {
  const { source, target, retries, name, uri, ifMatch } = edit;
  const { block, offset } = step;
  const client: BlobClient = source;
  const pinned = azureSource({ client, name, uri, size, etag: ifMatch, retries });
  const bytes = new Uint8Array(block.length);
  for (let done = 0; done < bytes.byteLength; done += READ_BYTES)
    await pinned.readInto?.(offset + done, bytes.subarray(done, done + READ_BYTES));
  await stageBytes({ client: target, retries }, block.id, bytes);
}
