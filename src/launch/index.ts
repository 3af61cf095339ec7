export { type BrokerClient, type BrokerPlace, openBrokerClient } from "./broker-client.ts";
export { checkJob } from "./check-job.ts";
export { type DirectGrant, grantDirectly } from "./direct/direct-grant.ts";
export { kekRuntimeDataOf, type KekTeeKeys, makeKekTeeKeys } from "./direct/kek-keys.ts";
export {
  attestDirectly,
  type DirectEvidence,
  type DirectRelease,
  releaseKekDirectly,
  unwrapLocally,
} from "./direct/release-kek.ts";
export { loadManifest, namingDataset, namingHolder, neededGroups } from "./inputs.ts";
export {
  type LaunchEvent,
  launchEventSchema,
  type LauncherConfig,
  launcherConfigSchema,
  type LaunchRequest,
  launchRequestSchema,
  type LaunchResult,
} from "./messages.ts";
export type { Launcher } from "./job-state.ts";
export { runJob } from "./run-job.ts";
export {
  bootSimulatedTee,
  buildSnapshot,
  measureImage,
  type Snapshot,
  type TeeExit,
} from "./sim/index.ts";
export { makeWorkerServices } from "./worker-services.ts";
