import { isAbsolute, join, resolve } from "node:path";
import {
  AMD_KDS,
  COLLATERAL_MAX_AGE_MS,
  completeEvidence,
  detectEvidence,
  INTEL_PCS,
  loadCollateral,
  loadMaaJwksFile,
  openCollateralCache,
  pccsService,
  peekMaaToken,
  serviceUrl,
  systemHttp,
  verifyEvidence,
  verifySimulatedDcapEvidence,
  verifySimulatedEvidence,
  withAmdAuthorities,
} from "../attest/index.ts";
import type {
  DetectedEvidence,
  Evidence,
  MaaProvider,
  Verified,
  CollateralCache,
} from "../attest/index.ts";
import { fromBase64Url, fromUtf8, isPpmlError, PpmlError, readBoundedFile } from "../base/index.ts";
import type { WireEvidence } from "../format/protocol.ts";
import { integerBetween } from "./command.ts";
import type { CommonFlags } from "./command.ts";
import { loadProject } from "./config/load.ts";
import type { CliContext } from "./context.ts";
import { maaProvidersOf, projectRoots, simulationRootOf } from "./pinned-roots.ts";
import { readTsmFolder } from "./tsm-folder.ts";

/** MAA's tokens are good for eight hours; how old one may be is for a relying party to say. */
const TOKEN_LIFETIME_SECONDS = 28_800;

/** More than any known form takes: a receipt with its collateral in base64 is below 200 KB. */
const MAX_EVIDENCE_BYTES = 4 * 1024 * 1024;

const NEEDS_COLLATERAL: ReadonlySet<string> = new Set(["sgx", "tdx", "snp", "az-tdx-vtpm"]);

/** The flags of commands that take recorded Evidence. */
export type EvidenceFlags = CommonFlags & {
  readonly collateral?: string;
  readonly at?: number;
  readonly fetch?: boolean;
  readonly pccs?: string;
  readonly project?: string;
};

/** Parameters of `EvidenceFlags`, without `json`. */
export const evidenceFlags = {
  collateral: {
    kind: "parsed",
    parse: String,
    brief: "The vendor's collateral: QuoteCollateralV3 JSON, certificates, or a provider's JWK Set",
    placeholder: "FILE|DIR",
    optional: true,
  },
  at: {
    kind: "parsed",
    parse: integerBetween(0, 253_402_300_799),
    brief: "Verify for this time (otherwise: now)",
    placeholder: "UNIX_SECONDS",
    optional: true,
  },
  fetch: {
    kind: "boolean",
    brief: "Fetch collateral that is missing from Intel or AMD",
    optional: true,
    withNegated: false,
  },
  pccs: {
    kind: "parsed",
    parse: parseServiceUrl,
    brief: "With --fetch: Intel's collateral comes from this PCCS (https)",
    placeholder: "URL",
    optional: true,
  },
} as const;

function parseServiceUrl(text: string): string {
  const url = serviceUrl(text);
  if (url !== null) return url;
  throw new SyntaxError("expected https://HOST/PATH, without a user, a password and a query");
}

/** Evidence from a file, with its collateral and the time to verify it for. */
export type EvidenceInput = {
  readonly wire: WireEvidence;
  /** The runtime data that it was made for, where the file says. */
  readonly runtimeData: DetectedEvidence["runtimeData"];
  readonly recorded: DetectedEvidence["recorded"];
  readonly nowMs: number;
  readonly maaProviders: readonly MaaProvider[];
};

/**
 * Reads Evidence of any known form, from a file or an entry of configfs-tsm, without its collateral.
 * @throws attest.invalid attest.unsupported
 */
export async function readEvidenceFile(
  context: CliContext,
  file: string,
): Promise<DetectedEvidence> {
  const path = resolve(context.cwd, file);
  const entry = await readTsmFolder(path);
  if (entry !== null) return detectEvidence(entry);
  const bytes = await readBoundedFile(path, {
    what: `the Evidence ${file}`,
    maxBytes: MAX_EVIDENCE_BYTES,
    code: "attest.invalid",
    remedy:
      "Give the path of a regular file, or of a folder that configfs-tsm made (provider, outblob, auxblob); what comes by a pipe has to be put into a file first.",
  });
  return detectEvidence(bytes);
}

/**
 * Puts collateral with Evidence, as the flags say.
 * @throws attest.collateral attest.invalid attest.unsupported cli.usage
 */
export async function addCollateral(
  context: CliContext,
  detected: DetectedEvidence,
  flags: EvidenceFlags,
): Promise<EvidenceInput> {
  if (flags.pccs !== undefined && flags.fetch !== true)
    throw new PpmlError("cli.usage", "--pccs needs --fetch: without it nothing is fetched");
  const { wire, ...found } = detected;
  const nowMs = flags.at === undefined ? context.clock() : flags.at * 1000;
  if (wire.type === "ear") return { wire, ...found, nowMs, maaProviders: [] };
  if (wire.type === "maa")
    return { wire, ...found, nowMs, maaProviders: await providersOf(context, wire, flags) };
  const own = { ...wire, collateral: { ...wire.collateral, ...(await givenOf(context, flags)) } };
  const whole =
    flags.fetch === true ? await fetchMissing(context, own, flags) : withAmdAuthorities(own);
  return { wire: whole, ...found, nowMs, maaProviders: [] };
}

/**
 * Reads Evidence of any known form, and puts its collateral with it.
 * @throws attest.collateral attest.invalid attest.unsupported cli.usage
 */
export async function readEvidence(
  context: CliContext,
  file: string,
  flags: EvidenceFlags,
): Promise<EvidenceInput> {
  return await addCollateral(context, await readEvidenceFile(context, file), flags);
}

/** Verifies it; simulated Evidence only under the root that the project pins. */
export async function verifyInput(
  context: CliContext,
  input: EvidenceInput,
  flags: EvidenceFlags,
): Promise<Verified<Evidence>> {
  const { wire, nowMs, maaProviders } = input;
  if (wire.type === "ear")
    throw new PpmlError(
      "attest.unsupported",
      "an EAR token is another Verifier's result, and Evidence is wanted here: give the Evidence that the Verifier had, or read the token by `ppml attest verify`",
    );
  if (Object.keys(wire.collateral).length === 0 && NEEDS_COLLATERAL.has(wire.type))
    throw new PpmlError(
      "attest.collateral",
      `Evidence of type ${wire.type} is verified with the vendor's collateral, and none was given: add --collateral FILE, or --fetch`,
    );
  if (wire.type === "maa" && maaProviders.length === 0) {
    const issuer = peekToken(wire).issuer.slice(0, 100);
    throw new PpmlError(
      "attest.collateral",
      `a token of ${issuer} is verified with that provider's keys, and none were given: add --collateral FILE, the JWK Set of ${issuer}/certs`,
    );
  }
  const hardware = { nowMs, maaProviders, maaMaxAgeSeconds: TOKEN_LIFETIME_SECONDS };
  if (!wire.type.startsWith("sim-")) return await verifyEvidence(wire, hardware);
  const project = await loadProject({ cwd: context.cwd, folder: flags.project });
  const simulationRoot = simulationRootOf(await projectRoots(project));
  if (simulationRoot === null) return await verifyEvidence(wire, hardware);
  // As a simulation's broker does.
  return wire.type === "sim-sgx" || wire.type === "sim-tdx"
    ? verifySimulatedDcapEvidence(wire, { simulationRoot, nowMs })
    : verifySimulatedEvidence(wire, { simulationRoot, nowMs });
}

/**
 * The input of a receipt at its own time, where `--at` names no other: what is judged is a past
 * attestation, whose collateral or token is over by now. As `ppml receipt verify` does, a token is
 * verified for the moment of its issue.
 */
export function atRecordedTime(input: EvidenceInput, flags: EvidenceFlags): EvidenceInput {
  const { recorded, wire } = input;
  if (recorded === null || flags.at !== undefined) return input;
  const { startedAtMs, finishedAtMs } = recorded;
  if (wire.type !== "maa") return { ...input, nowMs: finishedAtMs };
  const issuedAtMs = peekToken(wire).issuedAtMs;
  return { ...input, nowMs: Math.min(Math.max(issuedAtMs, startedAtMs), finishedAtMs) };
}

async function givenOf(
  context: CliContext,
  flags: EvidenceFlags,
): Promise<WireEvidence["collateral"]> {
  const { collateral: path } = flags;
  if (path === undefined) return {};
  return await loaded(path, loadCollateral(resolve(context.cwd, path)));
}

/** What is wrong with a file of collateral is not the Evidence's form: the remedy is another. */
async function loaded<T>(path: string, loading: Promise<T>): Promise<T> {
  try {
    return await loading;
  } catch (cause) {
    if (!isPpmlError(cause, "attest.invalid")) throw cause;
    const { message, detail } = cause;
    throw new PpmlError("attest.collateral", `${path}: ${message}`, { cause, detail });
  }
}

async function fetchMissing(
  context: CliContext,
  wire: WireEvidence,
  flags: EvidenceFlags,
): Promise<WireEvidence> {
  using step = context.progress({ label: "fetching collateral" });
  step.update(0);
  return await completeEvidence(wire, {
    ports: systemHttp,
    cache: cacheOf(context),
    maxAgeMs: COLLATERAL_MAX_AGE_MS,
    pcs: flags.pccs === undefined ? INTEL_PCS : pccsService(flags.pccs),
    update: "standard",
    kds: AMD_KDS,
    snpProduct: null,
  });
}

/** Fetched collateral is kept in the user's cache folder; without one it is fetched each time. */
function cacheOf(context: CliContext): CollateralCache | null {
  const { XDG_CACHE_HOME: cache, HOME: home } = context.env;
  const base = cache ?? (home === undefined ? undefined : join(home, ".cache"));
  if (base === undefined || !isAbsolute(base)) return null;
  const directory = join(base, "ppml", "collateral");
  return openCollateralCache({ directory, now: context.clock });
}

/**
 * A token's provider as `--collateral` pins it: whoever gives the file of its keys says by that whom
 * they trust. Which issuer and policy are accepted is for an appraisal policy to say.
 */
async function providersOf(
  context: CliContext,
  wire: WireEvidence,
  flags: EvidenceFlags,
): Promise<readonly MaaProvider[]> {
  if (flags.collateral === undefined) return await pinnedProviders(context, flags);
  const { issuer, policyHash } = peekToken(wire);
  const { collateral: path } = flags;
  const jwks = await loaded(path, loadMaaJwksFile(resolve(context.cwd, path)));
  return [{ issuer, jwks, policy: { hashes: [policyHash] } }];
}

/** The providers that the project pins in roots.json; none outside a project. */
async function pinnedProviders(
  context: CliContext,
  flags: EvidenceFlags,
): Promise<readonly MaaProvider[]> {
  try {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    return maaProvidersOf(await projectRoots(project));
  } catch (error) {
    if (isPpmlError(error, "config.missing")) return [];
    throw error;
  }
}

function peekToken(wire: WireEvidence): ReturnType<typeof peekMaaToken> {
  return peekMaaToken(fromUtf8(fromBase64Url(wire.evidence)));
}
