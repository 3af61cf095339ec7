import type { TcbStatus } from "../../collateral/tcb-status.ts";

/**
 * The status of a TD whose module was updated under it: launched with a TCB that is out of date, it
 * runs on one that is not. Launching it again makes it up to date.
 * @see Intel QVL, checkForRelaunch; Intel SGX and TDX PCS API v4, "TDRelaunchAdvised"
 */
export function adviseRelaunch(launch: TcbStatus, current: TcbStatus): TcbStatus {
  if (!isOutOfDate(launch) || isOutOfDate(current) || current === "Revoked") return launch;
  return needsConfiguration(launch) || needsConfiguration(current)
    ? "TDRelaunchAdvisedConfigurationNeeded"
    : "TDRelaunchAdvised";
}

function isOutOfDate(status: TcbStatus): boolean {
  return status === "OutOfDate" || status === "OutOfDateConfigurationNeeded";
}

function needsConfiguration(status: TcbStatus): boolean {
  return (
    status === "ConfigurationNeeded" ||
    status === "OutOfDateConfigurationNeeded" ||
    status === "ConfigurationAndSWHardeningNeeded"
  );
}
