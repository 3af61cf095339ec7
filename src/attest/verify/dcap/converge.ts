import type { TcbStatus } from "../../collateral/tcb-status.ts";

/**
 * The status of a platform together with one of its components (TDX module or QE): only a component
 * that is out of date or revoked changes it.
 * @see Intel QVL, TcbLevelCheck, convergeTcbStatuses; Intel SGX and TDX PCS API v4, "TCB status determination"
 */
export function converge(platform: TcbStatus, component: TcbStatus): TcbStatus {
  if (component === "Revoked" || platform === "Revoked") return "Revoked";
  if (component !== "OutOfDate") return platform;
  if (platform === "UpToDate" || platform === "SWHardeningNeeded") return "OutOfDate";
  if (platform === "ConfigurationNeeded" || platform === "ConfigurationAndSWHardeningNeeded")
    return "OutOfDateConfigurationNeeded";
  return platform;
}

/** Joins lists of advisories in their order, without repetition. */
export function mergeAdvisories(...lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())];
}
