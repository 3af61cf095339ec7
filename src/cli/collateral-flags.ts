import { resolve } from "node:path";
import { PpmlError } from "../base/index.ts";
import type { CollateralSetting } from "../broker/index.ts";
import type { Project } from "./config/load.ts";

/** Where fetched collateral, and keys of MAA's providers, are kept. */
export const COLLATERAL_FOLDER = ".ppml/collateral";

/** The flags that say where a broker takes collateral from. */
export type CollateralFlags = {
  readonly collateral?: readonly string[];
  readonly pccs?: string;
  readonly kds?: string;
};

/** Parameters of `CollateralFlags`. */
export const collateralFlags = {
  collateral: {
    kind: "parsed",
    parse: String,
    variadic: true,
    brief: "File of DCAP collateral or folder of SNP certificates, for what Evidence lacks",
    placeholder: "PATH",
    optional: true,
  },
  pccs: {
    kind: "parsed",
    parse: String,
    brief: "Fetch what Evidence lacks: intel, azure, or the https URL of a PCCS; AMD's too",
    placeholder: "SERVICE",
    optional: true,
  },
  kds: {
    kind: "parsed",
    parse: String,
    brief: "With --pccs: the https URL of a service like AMD's KDS (otherwise: AMD's)",
    placeholder: "URL",
    optional: true,
  },
} as const;

/** What the flags say; fetched collateral is kept in .ppml/collateral. @throws cli.usage */
export function collateralSetting(
  project: Project,
  flags: CollateralFlags & { readonly cwd: string },
): CollateralSetting {
  const { collateral = [], pccs, kds } = flags;
  if (collateral.length > 0 && pccs !== undefined)
    throw new PpmlError("cli.usage", "collateral comes from --collateral or from --pccs, not both");
  if (kds !== undefined && pccs === undefined)
    throw new PpmlError("cli.usage", "--kds needs --pccs: what is fetched is fetched from both");
  if (collateral.length > 2)
    throw new PpmlError(
      "cli.usage",
      "expected one file of DCAP collateral and one folder of SNP certificates at most",
    );
  if (collateral.length > 0)
    return { kind: "files", paths: collateral.map((path) => resolve(flags.cwd, path)) };
  if (pccs === undefined) return { kind: "none" };
  const cacheFolder = project.resolve(COLLATERAL_FOLDER);
  return { kind: "services", pcs: pccs, kds: kds ?? null, cacheFolder };
}
