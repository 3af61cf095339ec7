// The launcher's entry inside the TEE. Standard input: the host's launch request. Standard output:
// events, one JSON line each. Descriptor 3: the platform's attestation channel.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { asPpmlError, PpmlError } from "../base/index.ts";
import { openSimChannelAttester } from "../attest/collect/sim-channel.ts";
import { parseCanonicalJson, parseJson } from "../format/jcs.ts";
import { parseWith } from "../format/schema.ts";
import { brokerAuthority } from "./broker-authority.ts";
import { openBrokerClient } from "./broker-client.ts";
import { checkOwnStart } from "./check-job.ts";
import { launcherConfigSchema, launchRequestSchema } from "./messages.ts";
import type { LaunchEvent, LauncherConfig, LaunchRequest } from "./messages.ts";
import type { JobAuthority } from "./job-state.ts";
import { runJob } from "./run-job.ts";

const ATTESTATION_FD = 3;

const tell = (event: LaunchEvent): void => {
  process.stdout.write(`${JSON.stringify(event)}\n`);
};

try {
  checkOwnStart(process.env, process.execArgv);
  const config = parseWith(
    launcherConfigSchema,
    parseCanonicalJson(readFileSync("config.json"), "config.json"),
    { what: "launcher configuration" },
  );
  const request = parseWith(launchRequestSchema, parseJson(readFileSync(0), "launch request"), {
    what: "launch request",
  });
  using attester = openSimChannelAttester(ATTESTATION_FD);
  // A TEE does not outlive its platform, also where that was killed without a word.
  let isDone = false;
  const endWithPlatform = async (): Promise<void> => {
    await attester.closed;
    if (!isDone) process.exit(1);
  };
  void endWithPlatform();
  const here = fileURLToPath(import.meta.url);
  const extension = here.endsWith(".ts") ? "ts" : "js";
  const result = await runJob(
    {
      config,
      attester,
      authority: await authorityOf(config, request),
      nodePath: process.execPath,
      workerPath: join(dirname(here), "..", "compute", "sql", `worker-main.${extension}`),
      now: Date.now,
      tell,
    },
    request,
  );
  isDone = true;
  tell({ event: "done", result });
  process.exitCode = 0;
} catch (error) {
  const known = asPpmlError(error);
  tell(
    known !== null
      ? { event: "failed", code: known.code, message: known.message, detail: { ...known.detail } }
      : {
          event: "failed",
          code: "base.internal",
          message: `unexpected ${error instanceof Error ? error.name : typeof error} in the launcher`,
          detail: {},
        },
  );
  process.exitCode = 1;
}

/** As the measured configuration says; the host only says where the authority is. */
async function authorityOf(
  config: LauncherConfig,
  { authority }: LaunchRequest,
): Promise<JobAuthority> {
  if ("direct" in config && "vaultToken" in authority) {
    // Loaded by those jobs alone.
    const { directAuthority } = await import("./direct/direct-authority.ts");
    return directAuthority(config.direct, authority);
  }
  if ("releaseRoot" in config && !("vaultToken" in authority))
    return brokerAuthority(openBrokerClient(authority), config.releaseRoot);
  throw new PpmlError(
    "launch.job",
    "this launcher is measured for jobs with a broker and was given one without, or the other way round: the host has to boot the other configuration",
  );
}
