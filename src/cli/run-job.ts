import { openSimulatedPlatform } from "../attest/sim/platform.ts";
import { ERROR_CODES, PpmlError } from "../base/index.ts";
import type { ErrorCode } from "../base/index.ts";
import { jobSchema } from "../format/job.ts";
import type { Job } from "../format/job.ts";
import { parseWith } from "../format/schema.ts";
import { peekObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";
import { bootSimulatedTee, buildSnapshot, launchEventSchema } from "../launch/index.ts";
import type { LaunchEvent, LaunchRequest, LaunchResult, TeeExit } from "../launch/index.ts";
import type { RunningBroker } from "./broker-process.ts";
import type { CliContext } from "./context.ts";
import { settleDataset } from "./owner-manifests.ts";
import { handOverLogin } from "./hand-over-login.ts";
import { directHostOf } from "./direct-access.ts";
import { launcherConfigOf } from "./launcher-config.ts";
import { isAbfsUri, parseAbfsUri } from "../store/index.ts";
import { encodeLaunchRequest, imageOf } from "./tee-image.ts";
import type { Workspace } from "./workspace.ts";

/** A signed job with what the host adds: where things lie. */
export type JobRun = {
  readonly envelope: Envelope;
  /** Texts of its queries, in their order. */
  readonly code: readonly string[];
  /** Dataset of each input, by the input's name in the query. */
  readonly datasets: Readonly<Record<string, string>>;
  readonly output: string;
  /** KEK that the host offers for the result; the launcher compares it with the signed job. */
  readonly outputKek: string;
  readonly imageRoot: string;
};

/** Time that a TEE may need besides the job's own limit: to start, to attest, to store. */
const OVERHEAD_MS = 120_000;

/**
 * Boots the simulated TEE with a signed job and follows it to its end.
 * @throws what the launcher says, launch.failed where it says nothing
 */
export async function runInSimulatedTee(
  context: CliContext,
  options: {
    readonly workspace: Workspace;
    /** Null for a job that runs without one. */
    readonly broker: RunningBroker | null;
    readonly run: JobRun;
  },
): Promise<LaunchResult> {
  const { workspace, broker, run } = options;
  const { project } = workspace;
  const { simulation } = project.config;
  if (simulation === undefined)
    throw new PpmlError("attest.unavailable", "ppml.yaml names no simulated platform");
  const inputs = Object.values(run.datasets);
  // Before any key is released for a result that could not be stored.
  await (await workspace.store(run.output)).checkPut?.();
  if (broker !== null)
    for (const dataset of new Set([...inputs, run.output]))
      await settleDataset(workspace, { client: broker.client, dataset });
  const job = signedJob(workspace, run);
  const request: LaunchRequest = {
    v: 1,
    authority: broker?.place ?? (await directHostOf(context, { workspace, datasets: inputs })),
    job: run.envelope,
    jobSigner: workspace.owner.publicJwk,
    code: [...run.code],
    inputs: Object.fromEntries(
      Object.entries(run.datasets).map(([view, name]) => [
        view,
        project.resolve(workspace.dataset(name).store),
      ]),
    ),
    output: {
      store: project.resolve(workspace.dataset(run.output).store),
      kek: await workspace.kek(run.outputKek),
    },
    ...(await loginFor(context, {
      workspace,
      datasets: [...inputs, run.output],
    })),
  };
  await using snapshot = await buildSnapshot({
    imageRoot: run.imageRoot,
    ...imageOf(project),
    config: await launcherConfigOf(project, broker === null ? "direct" : "broker"),
  });
  context.talk(
    `${context.talkStyle.dim("tee")}       SIMULATED sim-snp, measurement ${Buffer.from(snapshot.measurement).toString("hex").slice(0, 24)}…`,
  );
  using follower = followEvents(context);
  const { timeoutSeconds } = job.engine.settings;
  const exit = await bootSimulatedTee({
    snapshot,
    platform: openSimulatedPlatform(project.resolve(simulation.platform)),
    launchRequest: encodeLaunchRequest(request),
    timeoutMs: timeoutSeconds * 1000 + OVERHEAD_MS,
    // Without its broker the result could not be receipted, however long it is computed.
    stop: broker?.gone ?? null,
    onEvent: follower.take,
  });
  const last = follower.last();
  if (last?.event === "done") return last.result;
  if (last?.event === "failed") throw failureOf(last);
  if (broker?.gone?.aborted === true)
    throw new PpmlError(
      "broker.unavailable",
      "the project's broker ended while the job ran, so the job was ended too: run it again",
    );
  throw endedSilently(exit, timeoutSeconds);
}

/**
 * The error of a TEE that ended without its own.
 * @param timeoutSeconds the job's limit
 */
export function endedSilently(exit: TeeExit, timeoutSeconds: number): PpmlError {
  const detail = { stderr: exit.stderr.slice(0, 2000) };
  if (exit.timedOut)
    return new PpmlError(
      "compute.timeout",
      `the TEE was ended: it took longer than the job's time limit of ${timeoutSeconds} s and ${OVERHEAD_MS / 1000} s more to start, attest and store`,
      {
        detail: {
          ...detail,
          remedy:
            "look whether the stores of its inputs and its output answer; if the job needs more time, raise limits.timeoutSeconds in ppml.yaml and sign it again",
        },
      },
    );
  return new PpmlError(
    "launch.failed",
    `the TEE ended (${exit.signal ?? `exit ${exit.exitCode ?? 0}`}) before it answered`,
    { detail },
  );
}

/** The signed job, whose output has to be the one of ppml.yaml: it is stored there. @throws launch.job */
function signedJob(workspace: Workspace, run: JobRun): Job {
  const job = peekObject({ kind: "job", schema: jobSchema, envelope: run.envelope }).payload;
  if (job.output.datasetId === workspace.datasetId(run.output)) return job;
  throw new PpmlError(
    "launch.job",
    `the job ${job.name} is signed for the output ${job.output.name}, and ppml.yaml says ${run.output}: sign it again with 'ppml job sign ${job.name}'`,
  );
}

const RUNNING = "running in the TEE";

/** The login that the TEE asks data lakes with: a token for storage alone. */
async function loginFor(
  context: CliContext,
  of: { readonly workspace: Workspace; readonly datasets: readonly string[] },
): Promise<Pick<LaunchRequest, "dataLake">> {
  const { workspace } = of;
  const { project, stores } = workspace;
  const uris = of.datasets.map((name) => project.resolve(workspace.dataset(name).store));
  const lakes = uris.filter((uri) => isAbfsUri(uri)).map((uri) => parseAbfsUri(uri).account);
  const [account] = lakes;
  if (account === undefined) return {};
  return { dataLake: await handOverLogin(context, { project, stores, accounts: lakes }) };
}

type Follower = Disposable & {
  readonly take: (event: unknown) => void;
  readonly last: () => LaunchEvent | null;
};

/** Shows the launcher's steps, one line each, and keeps what it said last. */
function followEvents(context: CliContext): Follower {
  let last: LaunchEvent | null = null;
  let progress = context.progress({ label: RUNNING });
  const begin = (label: string): void => {
    progress[Symbol.dispose]();
    progress = context.progress({ label });
  };
  return {
    take: (value) => {
      const event = parseWith(launchEventSchema, value, { what: "event", code: "launch.failed" });
      last = event;
      if (event.event === "progress") {
        const { step, done, total } = event;
        if (step === "compute" && total > 1) begin(`${RUNNING}, query ${done + 1} of ${total}`);
        else progress.update(done);
      }
      if (event.event !== "step" && event.event !== "notice") return;
      progress[Symbol.dispose]();
      const step = event.event === "step" ? event.step : "notice";
      context.talk(`${context.talkStyle.dim(step.padEnd(9))} ${event.text}`);
      begin(RUNNING);
    },
    last: () => last,
    [Symbol.dispose]: () => {
      progress[Symbol.dispose]();
    },
  };
}

function failureOf(event: Extract<LaunchEvent, { event: "failed" }>): PpmlError {
  const { code, message, detail } = event;
  return new PpmlError(
    Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : "launch.failed",
    message,
    { detail },
  );
}
