import { z } from "zod";
import { toHex } from "../../../base/index.ts";
import type { SgxEvidence } from "../../evidence/dcap-evidence.ts";
import { sgxAttributes } from "../../evidence/sgx-report.ts";
import type { SgxReport } from "../../evidence/sgx-report.ts";
import { bytesSchema, flagSchema, numberSchema, referencesSchema } from "../rules.ts";
import type { ClaimValues } from "../rules.ts";
import { platformValues, platformShape } from "./dcap.ts";

/** A policy's rules tell a workload by MRENCLAVE, or by MRSIGNER with product and SVN. */
export function namesEnclave(
  rules: Record<"mrEnclave" | "mrSigner" | "isvProdId" | "isvSvn", unknown>,
): boolean {
  const { mrEnclave, mrSigner, isvProdId, isvSvn } = rules;
  return mrEnclave !== "any" || [mrSigner, isvProdId, isvSvn].every((rule) => rule !== "any");
}

/** How zod says that `namesEnclave` does not hold. */
export const NO_ENCLAVE_NAMED = {
  path: ["mrEnclave"],
  error:
    'the workload\'s identity is never "any": name mrEnclave, or mrSigner with isvProdId and isvSvn',
};

/** Policy for SGX quotes. MRENCLAVE, or MRSIGNER with product and SVN, tells the workload. */
export const sgxPolicySchema = z
  .strictObject({
    tee: z.enum(["sgx", "sim-sgx"]),
    references: referencesSchema,
    mrEnclave: bytesSchema(32),
    mrSigner: bytesSchema(32),
    isvProdId: numberSchema,
    isvSvn: numberSchema,
    configId: bytesSchema(64),
    configSvn: numberSchema,
    isvExtProdId: bytesSchema(16),
    isvFamilyId: bytesSchema(16),
    debug: flagSchema,
    /** The enclave may get the platform's provisioning key: it can tell one machine from another. */
    provisionKey: flagSchema,
    ...platformShape,
  })
  .refine(namesEnclave, NO_ENCLAVE_NAMED);
type SgxPolicy = z.infer<typeof sgxPolicySchema>;

/** What a quote says, by claim. */
export function sgxValues(evidence: Omit<SgxEvidence, "type">): ClaimValues<SgxPolicy> {
  return { ...sgxBodyValues(evidence.quote.body), ...platformValues(evidence.verification) };
}

/** What an enclave's report says by itself, by claim. */
export function sgxBodyValues(
  body: SgxReport,
): Omit<ClaimValues<SgxPolicy>, keyof typeof platformShape> {
  const attributes = sgxAttributes(body.attributes);
  return {
    mrEnclave: toHex(body.mrEnclave),
    mrSigner: toHex(body.mrSigner),
    isvProdId: body.isvProdId,
    isvSvn: body.isvSvn,
    configId: toHex(body.configId),
    configSvn: body.configSvn,
    isvExtProdId: toHex(body.isvExtProdId),
    isvFamilyId: toHex(body.isvFamilyId),
    debug: attributes.debug,
    provisionKey: attributes.provisionKey,
  };
}
