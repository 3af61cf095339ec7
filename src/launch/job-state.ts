import type { Attester } from "../attest/index.ts";
import type { WorkerResult } from "../compute/sql/task.ts";
import type { ManifestFloor } from "../format/grant.ts";
import type { Job } from "../format/job.ts";
import type { WrappedLocalKey } from "../format/kek.ts";
import type { Manifest } from "../format/manifest.ts";
import type { WireEvidence } from "../format/protocol.ts";
import type { SigningKey } from "../format/jwk.ts";
import type { ReceiptFile, ResultPredicate } from "../format/receipt.ts";
import type { VerifiedObject } from "../format/signed-object.ts";
import type { Store, StoreSource } from "../store/index.ts";
import type { CandidateInput } from "./inputs.ts";
import type { LaunchEvent, LauncherConfig, LaunchRequest } from "./messages.ts";
import type { LocalKeys } from "./worker-services.ts";

/** What the launcher needs from its surroundings. */
export type Launcher = {
  readonly config: LauncherConfig;
  readonly attester: Attester;
  readonly authority: JobAuthority;
  readonly nodePath: string;
  readonly workerPath: string;
  readonly now: () => number;
  readonly tell: (event: LaunchEvent) => void;
};

/** A job that is about to ask for its keys. */
export type AskingJob = {
  readonly request: LaunchRequest;
  readonly job: VerifiedObject<Job>;
  readonly candidates: readonly CandidateInput[];
};

/**
 * Who gives a job its keys and takes its result: a broker, or, without one, Key Vault, the signed job
 * and the measured configuration.
 */
export type JobAuthority = {
  /** @throws launch.job where the signed job is not for this authority */
  readonly checkJob: (job: VerifiedObject<Job>) => void;
  /** A dataset's floor, for finding its manifest; what counts is the floor that the release names. */
  readonly floor: (job: Job, datasetId: string) => Promise<ManifestFloor>;
  readonly release: (
    asking: AskingJob,
    launcher: Pick<Launcher, "attester" | "tell" | "now" | "config">,
  ) => Promise<Release>;
  /** The version of the result's manifest. */
  readonly nextVersion: (
    release: Release,
    output: { readonly datasetId: string; readonly store: Store },
  ) => Promise<number>;
  /** Publishes the result with its receipt. */
  readonly publish: (finished: FinishedJob, made: MadeResult) => Promise<ReceiptFile>;
};

/** What a release gave, and what the Evidence was. */
export type Release = Disposable & {
  readonly localKeys: LocalKeys;
  /** Of the job's datasets. */
  readonly floors: readonly ManifestFloor[];
  /** The policy that was applied, and the release's place in the log; null where there was none. */
  readonly policy: ResultPredicate["policy"];
  readonly logIndex: number | null;
  /** The TEE's own key for the result. */
  readonly signer: SigningKey;
  readonly runtimeData: ResultPredicate["runtimeData"];
  readonly evidence: WireEvidence;
};

/** The manifest of a result, not yet signed. */
export type MadeResult = { readonly manifest: Manifest; readonly finishedAt: string };

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
