import type { Manifest, ManifestFile } from "../format/manifest.ts";
import type { Store } from "../store/index.ts";

/** What a sealing that was cut off had finished: one input, sealed and stored. */
export type SealedInput = {
  readonly file: ManifestFile;
  readonly schema: Manifest["schema"];
  /** Of the stored object. */
  readonly etag: string;
  /** The wrapped local keys that the object names, with their groups. */
  readonly localKeys: Manifest["localKeys"];
};

/** Which input: its plaintext as it was, so that a changed one is sealed again. */
export type JournalKey = {
  readonly name: string;
  readonly kind: "table" | "file";
  /** The etag of the plaintext. */
  readonly plaintext: string;
};

/**
 * What is kept on the owner's machine of a sealing, so that the next run need not do it again. Never in
 * the store: whoever writes there could name files of their own as done.
 */
export type SealJournal = {
  readonly find: (key: JournalKey) => SealedInput | null;
  readonly add: (key: JournalKey, done: SealedInput) => Promise<void>;
};

/**
 * What an earlier run did of an input, where the very object that it stored is still there.
 * @throws what the store throws
 */
export async function findDone(
  store: Store,
  journal: SealJournal | undefined,
  key: JournalKey | null,
): Promise<SealedInput | null> {
  if (journal === undefined || key === null) return null;
  const done = journal.find(key);
  if (done === null) return null;
  const stored = await store.head(done.file.name);
  return stored?.etag === done.etag && stored.size === done.file.length ? done : null;
}
