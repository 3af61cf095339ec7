import { z } from "zod";
import { toHex } from "../../../base/index.ts";
import { TCB_STATUSES } from "../../collateral/tcb-status.ts";
import type { DcapVerification } from "../../verify/dcap/verification.ts";
import { bytesSchema, numberSchema, onlySchema, wordSchema } from "../rules.ts";
import type { ClaimValues } from "../rules.ts";

/** What every policy for a DCAP quote says of the platform that made it. */
export const platformShape = {
  /** Intel's status of the platform's, the QE's and the module's TCB together; "Revoked" never verifies. */
  tcbStatus: wordSchema(TCB_STATUSES),
  /** The advisories that stand against the TCB: with `only`, no other one is accepted. */
  advisoryIds: onlySchema,
  tcbEvaluationDataNumber: numberSchema,
  fmspc: bytesSchema(6),
};

const platformPolicySchema = z.strictObject(platformShape);
type PlatformPolicy = z.infer<typeof platformPolicySchema>;

/** What the verification found of the platform. */
export function platformValues(verification: DcapVerification): ClaimValues<PlatformPolicy> {
  return {
    tcbStatus: verification.tcbStatus,
    advisoryIds: verification.advisoryIds,
    tcbEvaluationDataNumber: verification.tcbEvaluationDataNumber,
    fmspc: toHex(verification.fmspc),
  };
}
