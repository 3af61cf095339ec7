import { z } from "zod";
import { fromTimestamp } from "../../base/index.ts";

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
export const platformStatusSchema = z.enum([
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
]);

/** The statuses of a TDX module's levels. @see Intel SGX and TDX PCS API v4, TCB Info V3, "tdxModuleIdentities" */
export const moduleStatusSchema = z.enum(["UpToDate", "OutOfDate", "Revoked"]);

/** The statuses of an enclave's identity. @see Intel SGX and TDX PCS API v4, Enclave Identity V2, "tcbStatus" */
export const qeStatusSchema = z.enum([
  "UpToDate",
  "ConfigurationNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
]);

/** Identifiers of security advisories, such as INTEL-SA-00615; at most 1,000. */
export const advisoryIdsSchema = z.array(z.string().max(100)).max(1000).default([]);

/** A time of collateral, RFC 3339 in UTC with whole seconds, in milliseconds since 1970. */
export const collateralTimeSchema = z.string().transform((text, context) => {
  const timeMs = fromTimestamp(text);
  // A day that a month does not have is parsed as one of the next month.
  if (Number.isNaN(timeMs) || new Date(timeMs).getUTCDate() !== Number(text.slice(8, 10)))
    context.addIssue("expected a time that exists, such as 2026-11-23T12:00:00Z");
  return timeMs;
});

/** Bytes of exactly `length` in hex of either case. */
export function hexBytesSchema(length: number) {
  return z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${2 * length}}$`), `expected ${length} bytes in hex`)
    .transform((text) => new Uint8Array(Buffer.from(text, "hex")));
}
