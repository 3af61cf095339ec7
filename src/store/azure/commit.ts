import type { BlobRequestConditions, BlockBlobClient } from "@azure/storage-blob";
import { PpmlError } from "../../base/index.ts";
import type { PutCondition } from "../store.ts";
import { changed, serviceCode } from "./failure.ts";
import { isTransient, pause, withRetries } from "./retry.ts";
import type { RetryPolicy } from "./retry.ts";
import type { StagedBlock } from "./upload.ts";

/** What is committed, as which object's next version. */
export type Commit = {
  readonly client: BlockBlobClient;
  readonly name: string;
  readonly blocks: readonly StagedBlock[];
  readonly condition: PutCondition;
  readonly retries: RetryPolicy;
};

/**
 * Makes a list of blocks the object's content, in one step of the service, under the condition. A
 * commit with a condition means something else the second time, so it is repeated only where the
 * object's own list of blocks shows that the first one did not happen.
 * @throws store.conflict where another writer finished first; errors of the SDK
 */
export async function commitBlocks(commit: Commit): Promise<{ etag: string; size: number }> {
  const { client, blocks, name, retries } = commit;
  const ids = blocks.map(({ id }) => id);
  const size = blocks.reduce((sum, { length }) => sum + length, 0);
  const options = { conditions: conditionsOf(commit.condition) };
  for (let tries = 1; ; tries += 1) {
    try {
      const { etag } = await client.commitBlockList(ids, options);
      return { etag: requireEtag(etag, name), size };
    } catch (error) {
      if (serviceCode(error) === "InvalidBlockList") throw overtaken(name, error);
      if (tries >= retries.tries || !isTransient(error)) throw error;
      await pause(retries, { tries, error });
      const etag = await committedAs(commit, ids);
      if (etag !== null) return { etag, size };
    }
  }
}

/** The conditions of a call, as the SDK wants them. */
export function conditionsOf(condition: PutCondition): BlobRequestConditions {
  if (condition.ifNoneMatch === true) return { ifNoneMatch: "*" };
  return condition.ifMatch === undefined ? {} : { ifMatch: condition.ifMatch };
}

/** An answer without an etag would leave nothing to pin the version by. */
export function requireEtag(etag: string | undefined, name: string): string {
  if (etag !== undefined && etag.length > 0 && etag.length <= 256)
    return etag.startsWith('"') || etag.startsWith("W/") ? etag : `"${etag}"`;
  throw new PpmlError("store.io", `the storage gave no valid etag of "${name}"`);
}

/** The etag of the object where its blocks are exactly ours, which only our own commit makes them. */
async function committedAs(commit: Commit, ids: readonly string[]): Promise<string | null> {
  if (ids.length === 0) return null;
  const { client, retries, name } = commit;
  try {
    const { committedBlocks, etag } = await withRetries(retries, () =>
      client.getBlockList("committed"),
    );
    const found = committedBlocks ?? [];
    const isOurs = found.length === ids.length && found.every((one, i) => one.name === ids[i]);
    return isOurs ? requireEtag(etag, name) : null;
  } catch (error) {
    if (serviceCode(error) === "BlobNotFound") return null;
    throw error;
  }
}

/** Committing drops the blocks of all other writers: one of them came first. */
function overtaken(name: string, cause: unknown): PpmlError {
  const failure = changed(name, cause);
  return new PpmlError(
    "store.conflict",
    `another writer finished "${name}" while this one uploaded it: its version stands; read it, or put again`,
    { detail: failure.detail, cause },
  );
}
