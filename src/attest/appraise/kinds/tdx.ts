import { z } from "zod";
import { toHex } from "../../../base/index.ts";
import type { TdxEvidence } from "../../evidence/dcap-evidence.ts";
import { parseTdAttributes } from "../../evidence/td-attributes.ts";
import type { TdReport } from "../../evidence/td-report.ts";
import { bytesSchema, flagSchema, identitySchema, referencesSchema } from "../rules.ts";
import type { ClaimValues } from "../rules.ts";
import { platformValues, platformShape } from "./dcap.ts";

/** A TD's registers, which its quote and tokens over it have alike. */
export const tdRegisterShape = {
  /** The TD's initial contents, its firmware: never "any". */
  mrTd: identitySchema(48),
  rtmr0: bytesSchema(48),
  rtmr1: bytesSchema(48),
  rtmr2: bytesSchema(48),
  rtmr3: bytesSchema(48),
  mrConfigId: bytesSchema(48),
  mrOwner: bytesSchema(48),
  mrOwnerConfig: bytesSchema(48),
  mrSeam: bytesSchema(48),
};

/** What every policy for a TD's quote says, whatever carries the quote. */
export const tdShape = {
  references: referencesSchema,
  ...tdRegisterShape,
  /** Zero where no service TD (such as a migration TD) is bound; a report of TDX 1.0 has none. */
  mrServiceTd: bytesSchema(48),
  xfam: bytesSchema(8),
  debug: flagSchema,
  profiling: flagSchema,
  septVeDisable: flagSchema,
  migratable: flagSchema,
  pks: flagSchema,
  keyLocker: flagSchema,
  perfmon: flagSchema,
  ...platformShape,
};

/** Policy for TDX quotes. MRTD is the firmware; RTMRs or MRCONFIGID tell what it booted. */
export const tdxPolicySchema = z.strictObject({ tee: z.enum(["tdx", "sim-tdx"]), ...tdShape });

const tdPolicySchema = z.strictObject(tdShape);
/** The rules for a TD, without what carries its quote. */
export type TdPolicy = z.infer<typeof tdPolicySchema>;

/** What a TD's quote says, by claim. */
export function tdValues(
  evidence: Pick<TdxEvidence, "quote" | "verification">,
): ClaimValues<TdPolicy> {
  return { ...tdBodyValues(evidence.quote.body), ...platformValues(evidence.verification) };
}

/** What a TD's report says by itself, by claim. */
export function tdBodyValues(
  body: TdReport,
): Omit<ClaimValues<TdPolicy>, keyof typeof platformShape> {
  const attributes = parseTdAttributes(body.tdAttributes);
  return {
    mrTd: toHex(body.mrTd),
    rtmr0: toHex(body.rtmr0),
    rtmr1: toHex(body.rtmr1),
    rtmr2: toHex(body.rtmr2),
    rtmr3: toHex(body.rtmr3),
    mrConfigId: toHex(body.mrConfigId),
    mrOwner: toHex(body.mrOwner),
    mrOwnerConfig: toHex(body.mrOwnerConfig),
    mrSeam: toHex(body.mrSeam),
    mrServiceTd: body.td15 === null ? null : toHex(body.td15.mrServiceTd),
    xfam: toHex(body.xfam),
    debug: attributes.debug,
    profiling: attributes.profiling,
    septVeDisable: attributes.septVeDisable,
    migratable: attributes.migratable,
    pks: attributes.pks,
    keyLocker: attributes.keyLocker,
    perfmon: attributes.perfmon,
  };
}
