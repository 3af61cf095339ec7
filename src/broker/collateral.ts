import { z } from "zod";
import { AMD_KDS } from "../attest/collateral/amd-kds.ts";
import { withAmdAuthorities } from "../attest/collateral/amd-certificates.ts";
import { openCollateralCache } from "../attest/collateral/cache.ts";
import { completeEvidence } from "../attest/collateral/complete-evidence.ts";
import { COLLATERAL_MAX_AGE_MS } from "../attest/collateral/fetch-part.ts";
import { systemHttp } from "../attest/collateral/http.ts";
import { AZURE_PCS, INTEL_PCS, pccsService } from "../attest/collateral/intel-pcs.ts";
import type { PcsService } from "../attest/collateral/intel-pcs.ts";
import { loadCollateral } from "../attest/collateral/load-collateral.ts";
import { serviceUrl } from "../attest/collateral/service-url.ts";
import type { WireEvidence } from "../format/protocol.ts";
import { PpmlError, unreachable } from "../base/index.ts";
import type { CompleteEvidence } from "./broker-state.ts";
import { fileStateOf } from "./file-state.ts";

/** Where a broker takes collateral from that Evidence does not bring along. */
export const collateralSettingSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("none") }),
  /** Files or folders as `loadCollateral` reads them: at most one of DCAP and one of SNP. */
  z.strictObject({ kind: z.literal("files"), paths: z.array(z.string().min(1)).min(1).max(2) }),
  z.strictObject({
    kind: z.literal("services"),
    /** `intel`, `azure`, or the URL of a PCCS. */
    pcs: z.string().min(1).max(500),
    /** The URL of AMD's KDS; null for AMD's own. */
    kds: z.string().min(1).max(500).nullable(),
    cacheFolder: z.string().min(1),
  }),
]);
export type CollateralSetting = z.infer<typeof collateralSettingSchema>;

/** Takes Evidence as it was sent, with AMD's public authorities, which nobody has to set. */
// async: what Evidence's form lacks rejects.
export const sentCollateral: CompleteEvidence = async (wire) =>
  await Promise.resolve(withAmdAuthorities(wire));

/**
 * Makes what adds missing collateral, as the operator set it.
 * @throws attest.collateral attest.invalid for files that cannot be read; config.invalid
 */
export async function completeFrom(setting: CollateralSetting): Promise<CompleteEvidence> {
  switch (setting.kind) {
    case "none":
      return sentCollateral;
    case "files":
      return fromFiles(setting.paths);
    case "services":
      return fromServices(setting);
    default:
      return unreachable(setting);
  }
}

function fromServices(
  setting: Extract<CollateralSetting, { readonly kind: "services" }>,
): CompleteEvidence {
  const sources = {
    ports: systemHttp,
    cache: openCollateralCache({ directory: setting.cacheFolder, now: systemHttp.now }),
    maxAgeMs: COLLATERAL_MAX_AGE_MS,
    pcs: pcsOf(setting.pcs),
    update: "standard",
    kds: setting.kds === null ? AMD_KDS : urlOf(setting.kds),
    snpProduct: null,
  } as const;
  return async (wire) =>
    wire.type === "maa" || wire.type.startsWith("sim-") ? wire : completeEvidence(wire, sources);
}

function pcsOf(name: string): PcsService {
  if (name === "intel") return INTEL_PCS;
  return name === "azure" ? AZURE_PCS : pccsService(urlOf(name));
}

/** What was given is not in the message: it may hold a password. */
function urlOf(text: string): string {
  const url = serviceUrl(text);
  if (url !== null) return url;
  throw new PpmlError(
    "config.invalid",
    "expected intel, azure or https://HOST/PATH as a collateral service, without a user, a password and a query",
  );
}

type Collateral = WireEvidence["collateral"];

type CollateralFiles = { readonly snp: Collateral; readonly dcap: Collateral };

/**
 * Files are read again once they changed: Intel's are good for a month, and a broker runs longer. While
 * changed ones cannot be read, Evidence is refused and not judged by what they were before.
 */
async function fromFiles(paths: readonly string[]): Promise<CompleteEvidence> {
  // The state is taken before the files are read: a change in between is one that is seen later.
  let state = await fileStateOf(paths);
  let files = await readFiles(paths);
  return async (wire) => {
    const present = await fileStateOf(paths);
    if (present !== state) {
      const changed = await readFiles(paths);
      [files, state] = [changed, present];
    }
    return sentCollateral(withFiles(wire, files));
  };
}

async function readFiles(paths: readonly string[]): Promise<CollateralFiles> {
  const loaded = await Promise.all(paths.map(loadCollateral));
  const snp = loaded.filter(isSnp);
  const dcap = loaded.filter((collateral) => !isSnp(collateral));
  if (snp.length > 1 || dcap.length > 1)
    throw new PpmlError(
      "config.invalid",
      "expected one file of DCAP collateral and one folder of SNP certificates at most",
    );
  return { snp: snp[0] ?? {}, dcap: dcap[0] ?? {} };
}

/** DCAP's parts come all together; of AMD's any one may lie alone, such as the revocation list. */
function isSnp(collateral: Collateral): boolean {
  return !("tcbInfo" in collateral);
}

/**
 * What the Evidence brings goes before what lies here, but for AMD's revocation list: which one counts
 * is not for the guest to say. DCAP's parts belong together.
 */
function withFiles(wire: WireEvidence, files: CollateralFiles): WireEvidence {
  switch (wire.type) {
    case "snp":
      return { ...wire, collateral: { ...files.snp, ...wire.collateral, ...crlOf(files.snp) } };
    case "az-snp-vtpm": {
      const { ark, ask, crl } = files.snp;
      const here = Object.entries({ ark, ask, crl }).flatMap(([name, part]) =>
        part === undefined ? [] : [[name, part] as const],
      );
      return {
        ...wire,
        collateral: { ...Object.fromEntries(here), ...wire.collateral, ...crlOf(files.snp) },
      };
    }
    case "sgx":
    case "tdx":
    case "sim-sgx":
    case "sim-tdx":
    case "az-tdx-vtpm":
      return Object.keys(wire.collateral).length > 0 ? wire : { ...wire, collateral: files.dcap };
    default:
      return wire;
  }
}

function crlOf({ crl }: Collateral): Collateral {
  return crl === undefined ? {} : { crl };
}
