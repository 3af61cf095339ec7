import {
  fromBase64,
  fromTimestamp,
  isPpmlError,
  PpmlError,
  toBase64Url,
  utf8,
} from "../../base/index.ts";
import { z } from "zod";
import { wireEvidenceSchema } from "../../format/protocol.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { RESULT_PREDICATE, receiptFileSchema, receiptSchema } from "../../format/receipt.ts";
import { peekObject } from "../../format/signed-object.ts";
import type { Envelope } from "../../format/signed-object.ts";
import { parsePemCertificates } from "../x509/pem.ts";
import { parseAzureVtpmJson } from "./azure-vtpm-json.ts";
import type { DetectedEvidence } from "./detected.ts";
import { parseHclReport } from "./hcl-report.ts";

const wireOf = (type: string, bytes: Uint8Array): WireEvidence => ({
  type,
  evidence: toBase64Url(bytes),
  collateral: {},
});

/** What Azure's clean rooms keep of a container group. @see github.com/Azure/azure-cleanroom, samples/reports */
const containerSchema = z.looseObject({
  report: z.looseObject({
    snpCACI: z.strictObject({
      attestation: z.string(),
      platformCertificates: z.string(),
      uvmEndorsements: z.string(),
    }),
  }),
});
const machineSchema = z.looseObject({ report: z.looseObject({ snpCvm: z.unknown() }) });

/**
 * Evidence in JSON of one of the known forms; null for any other JSON.
 * @throws attest.invalid where a known form does not hold what it has to
 */
export function detectJson(value: unknown): DetectedEvidence | null {
  const wire = wireEvidenceSchema.safeParse(value);
  if (wire.success) return { wire: wire.data, runtimeData: null, recorded: null };
  const receipt = receiptFileSchema.safeParse(value);
  if (receipt.success) return fromReceipt(receipt.data.receipt);
  const container = containerSchema.safeParse(value);
  if (container.success) return fromContainer(container.data.report.snpCACI);
  const machine = machineSchema.safeParse(value);
  return fromVtpm(machine.success ? machine.data.report.snpCvm : value);
}

function fromReceipt(envelope: Envelope): DetectedEvidence {
  const { payload } = peekObject({ kind: "receipt", schema: receiptSchema, envelope });
  if (payload.predicateType !== RESULT_PREDICATE)
    throw new PpmlError(
      "attest.unsupported",
      "a broker's receipt holds the Evidence's digest only: give the receipt of a result",
    );
  const { evidence, runtimeData, startedAt, finishedAt } = payload.predicate;
  const recorded = {
    startedAtMs: fromTimestamp(startedAt),
    finishedAtMs: fromTimestamp(finishedAt),
  };
  return { wire: evidence, runtimeData, recorded };
}

function fromContainer(report: z.infer<typeof containerSchema>["report"]["snpCACI"]) {
  const chain = parsePemCertificates(
    Buffer.from(report.platformCertificates, "base64").toString("latin1"),
  );
  const [vcek, ask, ark] = chain.map((der) => toBase64Url(der));
  if (vcek === undefined || ask === undefined || ark === undefined)
    throw new PpmlError("attest.invalid", "expected VCEK, ASK and ARK in platformCertificates");
  const uvm = toBase64Url(fromBase64(report.uvmEndorsements));
  const wire = { ...wireOf("snp", fromBase64(report.attestation)) };
  return {
    wire: { ...wire, collateral: { vcek, ask, ark, uvm } },
    runtimeData: null,
    recorded: null,
  };
}

function fromVtpm(value: unknown): DetectedEvidence | null {
  const bytes = utf8(JSON.stringify(value) ?? "");
  try {
    const { hclReport } = parseAzureVtpmJson(bytes);
    return {
      wire: wireOf(`az-${parseHclReport(hclReport).type}-vtpm`, bytes),
      runtimeData: null,
      recorded: null,
    };
  } catch (error) {
    if (isPpmlError(error)) return null; // Another form of JSON; if none fits, the caller says so.
    throw error;
  }
}
