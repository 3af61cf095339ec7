export { type GroupPlan } from "./group-key.ts";
export type { JournalKey, SealedInput, SealJournal } from "./journal.ts";
export {
  isRefusal,
  type ManifestAuthority,
  publishManifest,
  type PublishedManifest,
  settleManifest,
} from "./publish-manifest.ts";
export { proveRewrapped, type RewrapProof } from "./prove-rewrapped.ts";
export { rewrapDataset, type RewrapOptions } from "./rewrap.ts";
export { sealDataset, type SealDatasetOptions, type SealInput } from "./seal-dataset.ts";
export { type SealedFile, sealFile, type SealFileOptions } from "./seal-file.ts";
export { sealResource } from "./seal-resource.ts";
export { loadEnvelope, loadPinned } from "./stored-manifest.ts";
export { makeResultKeys, type ResultKeys, RESULT_GROUP } from "./table-key.ts";
