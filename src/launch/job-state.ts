import type { Attester } from "../attest/index.ts";
import type { WorkerResult } from "../compute/sql/task.ts";
import type { Grant } from "../format/grant.ts";
import type { Job } from "../format/job.ts";
import type { WrappedLocalKey } from "../format/kek.ts";
import type { Manifest } from "../format/manifest.ts";
import type { WireEvidence } from "../format/protocol.ts";
import type { RuntimeData } from "../format/runtime-data.ts";
import type { VerifiedObject } from "../format/signed-object.ts";
import type { Store, StoreSource } from "../store/index.ts";
import type { BrokerClient } from "./broker-client.ts";
import type { CandidateInput } from "./inputs.ts";
import type { LaunchEvent, LauncherConfig } from "./messages.ts";
import type { TeeKeys } from "./tee-keys.ts";
import type { LocalKeys } from "./worker-services.ts";

/** What the launcher needs from its surroundings. */
export type Launcher = {
  readonly config: LauncherConfig;
  readonly attester: Attester;
  readonly broker: BrokerClient;
  readonly nodePath: string;
  readonly workerPath: string;
  readonly now: () => number;
  readonly tell: (event: LaunchEvent) => void;
};

/** What a release gave: the grant, its local keys, and what the Evidence was. */
export type Release = Disposable & {
  readonly grant: Grant;
  readonly localKeys: LocalKeys;
  readonly keys: TeeKeys;
  readonly runtimeData: RuntimeData;
  readonly evidence: WireEvidence;
};

/** An input whose manifest was accepted, with its stored files open. */
export type AcceptedInput = {
  readonly candidate: CandidateInput;
  readonly manifest: VerifiedObject<Manifest>;
  readonly sources: readonly StoreSource[];
};

/** A job whose engine is done: what there is to publish. */
export type FinishedJob = {
  readonly launcher: Launcher;
  readonly job: VerifiedObject<Job>;
  readonly release: Release;
  readonly inputs: readonly AcceptedInput[];
  readonly store: Store;
  readonly result: WorkerResult;
  readonly version: number;
  /** Stored names of the results, one a query. */
  readonly fileNames: readonly string[];
  readonly wrapped: WrappedLocalKey;
  readonly startedMs: number;
};
