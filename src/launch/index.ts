export { type BrokerClient, type BrokerPlace, openBrokerClient } from "./broker-client.ts";
export { checkJob } from "./check-job.ts";
export { loadManifest, namingDataset, neededGroups } from "./inputs.ts";
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
export { bootSimulatedTee, buildSnapshot, measureImage, type Snapshot } from "./sim/index.ts";
export { makeWorkerServices } from "./worker-services.ts";
