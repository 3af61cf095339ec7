import { z } from "zod";
import { parseSignedJson } from "./signed-json.ts";
import {
  advisoryIdsSchema,
  collateralTimeSchema,
  hexBytesSchema,
  qeStatusSchema,
} from "./tcb-status.ts";

const qeTcbLevelSchema = z.object({
  tcb: z.object({ isvsvn: z.int().min(0).max(0xffff) }),
  tcbDate: collateralTimeSchema,
  tcbStatus: qeStatusSchema,
  advisoryIDs: advisoryIdsSchema,
});
export type QeTcbLevel = z.infer<typeof qeTcbLevelSchema>;

const qeIdentitySchema = z.object({
  /** Of the Quoting Enclave, of the one for TDX, or of the Quote Verification Enclave. */
  id: z.enum(["QE", "TD_QE", "QVE"]),
  version: z.union([z.literal(2), z.literal(3)]),
  issueDate: collateralTimeSchema,
  nextUpdate: collateralTimeSchema,
  tcbEvaluationDataNumber: z.int().min(0).max(0xffffffff),
  miscselect: hexBytesSchema(4),
  miscselectMask: hexBytesSchema(4),
  attributes: hexBytesSchema(16),
  attributesMask: hexBytesSchema(16),
  mrsigner: hexBytesSchema(32),
  isvprodid: z.int().min(0).max(0xffff),
  tcbLevels: z.array(qeTcbLevelSchema).min(1).max(100),
});

/** Identity of a Quoting Enclave, version 2; times in milliseconds. @see Intel SGX and TDX PCS API v4, Enclave Identity V2 */
export type QeIdentity = z.infer<typeof qeIdentitySchema>;

/**
 * Parses the JSON of an enclave's identity, version 2 or 3; the levels keep their order, highest
 * first as Intel sends them. Members that are not known are left out. Its signature is not checked.
 * @throws attest.invalid, attest.unsupported
 * @see Intel SGX and TDX PCS API v4, "Enclave Identity V2"
 */
export function parseQeIdentity(json: Uint8Array): QeIdentity {
  return parseSignedJson(json, {
    schema: qeIdentitySchema,
    what: "the QE identity",
    version: [2, 3],
  });
}
