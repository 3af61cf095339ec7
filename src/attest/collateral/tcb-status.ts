/**
 * What Intel says of a TCB level, best first; the two `TDRelaunchAdvised` come from comparing a TD's
 * launch with its present, never from collateral.
 * @see Intel SGX and TDX PCS API v4, "TCB Status Definitions"
 */
export const TCB_STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "TDRelaunchAdvised",
  "TDRelaunchAdvisedConfigurationNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const;
export type TcbStatus = (typeof TCB_STATUSES)[number];

/** The statuses of TCB info. @see Intel SGX and TDX PCS API v4, TCB Info V3, "tcbStatus" */
export const PLATFORM_STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const satisfies readonly TcbStatus[];
export type PlatformStatus = (typeof PLATFORM_STATUSES)[number];

/** The statuses of a TDX module's levels. @see Intel SGX and TDX PCS API v4, TCB Info V3, "tdxModuleIdentities" */
export const MODULE_STATUSES = [
  "UpToDate",
  "OutOfDate",
  "Revoked",
] as const satisfies readonly TcbStatus[];
export type ModuleStatus = (typeof MODULE_STATUSES)[number];

/** The statuses of an enclave's identity. @see Intel SGX and TDX PCS API v4, Enclave Identity V2, "tcbStatus" */
export const QE_STATUSES = [
  "UpToDate",
  "ConfigurationNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const satisfies readonly TcbStatus[];
export type QeStatus = (typeof QE_STATUSES)[number];
