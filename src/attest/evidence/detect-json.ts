import {
  fromBase64,
  fromBase64Url,
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
import { parseSnpCertificateTable } from "../collect/snp-certificate-table.ts";
import { parsePemCertificates } from "../x509/pem.ts";
import { parseAzureVtpmJson } from "./azure-vtpm-json.ts";
import { cocoSnpSchema, cocoSnpWire } from "./coco-snp.ts";
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
/** A report of configfs-tsm, its attributes as members in base64. @see Linux Documentation/ABI/testing/configfs-tsm */
const tsmSchema = z.looseObject({
  provider: z.string().transform((text) => text.trim()),
  outblob: z.string(),
  auxblob: z.string().optional(),
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
  const tsm = tsmSchema.safeParse(value);
  if (tsm.success) return fromTsm(tsm.data);
  const coco = cocoSnpSchema.safeParse(value);
  if (coco.success) return { wire: cocoSnpWire(coco.data), runtimeData: null, recorded: null };
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

function fromTsm(report: z.infer<typeof tsmSchema>): DetectedEvidence {
  const evidence = fromAnyBase64(report.outblob);
  if (evidence.byteLength === 0)
    throw new PpmlError(
      "attest.invalid",
      "the outblob is empty: write the report data to inblob, then read it again",
    );
  const bare = { runtimeData: null, recorded: null };
  switch (report.provider) {
    case "tdx_guest":
      return { wire: wireOf("tdx", evidence), ...bare };
    case "sev_guest": {
      const table = parseSnpCertificateTable(fromAnyBase64(report.auxblob ?? ""));
      return { wire: snpWire(evidence, table), ...bare };
    }
    default:
      throw new PpmlError(
        "attest.unsupported",
        `expected a report of configfs-tsm by tdx_guest or sev_guest, got one by "${report.provider.slice(0, 40)}"`,
      );
  }
}

/** Of either alphabet, padded or not: programs differ. */
function fromAnyBase64(text: string): Uint8Array {
  try {
    return fromBase64Url(text.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_"));
  } catch (cause) {
    throw new PpmlError("attest.invalid", "expected base64 in outblob and auxblob", { cause });
  }
}

/** A report with what its host's table holds, as Evidence carries it. */
export function snpWire(
  report: Uint8Array,
  certificates: Readonly<Record<string, Uint8Array>>,
): WireEvidence {
  const collateral = Object.entries(certificates).map(([name, der]) => [name, toBase64Url(der)]);
  return { ...wireOf("snp", report), collateral: Object.fromEntries(collateral) };
}

/** JSON that has an HCL report is meant as a vTPM's Evidence: what is wrong with it is worth saying. */
const bytesPart = z.union([z.string(), z.array(z.unknown())]);
const vtpmSchema = z.union([
  z.looseObject({ hcl_report: bytesPart }),
  z.looseObject({ hcl_report_base64: bytesPart }),
  z.looseObject({ evidence: z.looseObject({ hclReport: bytesPart }) }),
]);

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
    if (isPpmlError(error) && !vtpmSchema.safeParse(value).success) return null; // Another form of JSON; if none fits, the caller says so.
    throw error;
  }
}
