import { parsePemChain } from "../attest/x509/pem.ts";
import { PpmlError, readBoundedFile, toBase64Url } from "../base/index.ts";
import { encodeJcs } from "../format/jcs.ts";
import type { LauncherConfig } from "../launch/index.ts";
import type { Project } from "./config/load.ts";
import type { JobConfig } from "./config/schema.ts";
import { projectRoots } from "./pinned-roots.ts";
import type { PinnedRoots } from "./pinned-roots.ts";

/** How a job gets its keys: each way has a launcher's configuration, and so a measurement, of its own. */
export type JobRelease = JobConfig["release"];

const MAX_ROOTS_BYTES = 256 * 1024;

/**
 * The launcher's configuration for jobs of one way of release, in the bytes that are measured.
 * @throws attest.unavailable in a project for production; config.invalid
 */
export async function launcherConfigOf(project: Project, release: JobRelease): Promise<Uint8Array> {
  const roots = await projectRoots(project);
  if (roots.mode !== "simulation")
    throw new PpmlError(
      "attest.unavailable",
      "this machine has only the simulated TEE, and the project is for production: run the job on a TEE",
    );
  const base = { v: 1, mode: roots.mode, profile: "sim" } as const;
  const config: LauncherConfig =
    release === "broker"
      ? { ...base, releaseRoot: roots.releaseRoot }
      : { ...base, direct: await directConfigOf(project, roots) };
  return encodeJcs(config);
}

async function directConfigOf(project: Project, { owner }: PinnedRoots) {
  const { direct, vault } = project.config;
  if (direct === undefined || vault.url === undefined)
    throw new PpmlError(
      "config.invalid",
      "jobs without a broker need the section direct in ppml.yaml, and a vault of kind azure",
    );
  const path = project.resolve(direct.vaultRoots);
  const pem = await readBoundedFile(path, {
    what: `the roots of the vault's certificate ${path}`,
    maxBytes: MAX_ROOTS_BYTES,
    code: "config.invalid",
    remedy:
      "write the certificate roots that the vault's answers lead to into it, in PEM (docs/protocol.md, Without a broker)",
  });
  const vaultRoots = parsePemChain(pem).map((der) => toBase64Url(der));
  const { attestation } = direct;
  return { signers: [owner], attestation, vault: new URL(vault.url).hostname, vaultRoots };
}
