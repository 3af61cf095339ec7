import { z } from "zod";
import { fromBase64, PpmlError, toBase64Url, utf8 } from "../../base/index.ts";
import { wireEvidenceSchema } from "../../format/protocol.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { parseWith } from "../../format/schema.ts";
import { cocoSnpSchema, cocoSnpWire } from "./coco-snp.ts";

/** The TEEs of CoCo's guests whose Evidence is read, by their names in `tee`. */
export const COCO_TEES = ["snp", "tdx", "sgx", "az-snp-vtpm", "az-tdx-vtpm"] as const;

const MAX_QUOTE_TEXT = 90_000;
const MAX_EVENT_LOG_TEXT = 1_400_000;

const quoteText = z.string().max(MAX_QUOTE_TEXT);

/** The event log is not read: policies speak of the RTMRs, which the quote vouches for. */
const tdxSchema = z.strictObject({
  cc_eventlog: z.string().max(MAX_EVENT_LOG_TEXT).nullable().optional(),
  quote: quoteText,
});
const sgxSchema = z.strictObject({ quote: quoteText });
/** Ours: simulated guests send what `/v1` takes. */
const simulatedSchema = wireEvidenceSchema.omit({ type: true });

/**
 * Refuses a TEE whose Evidence is not read here, before any nonce is made for it.
 * @throws attest.simulated for CoCo's sample, and for `sim-*` unless `simulated`; attest.unsupported
 */
export function requireCocoTee(tee: string, options: { readonly simulated: boolean }): void {
  if (tee === "sample" || tee === "sampledevice")
    throw new PpmlError(
      "attest.simulated",
      `Evidence of the TEE ${tee} proves nothing and is always refused: attest in a hardware TEE`,
    );
  if (tee.startsWith("sim-")) {
    if (options.simulated && tee === "sim-snp") return;
    throw new PpmlError(
      "attest.simulated",
      `expected a hardware TEE, got ${tee}: simulated Evidence is taken by a simulation's broker only`,
    );
  }
  if (COCO_TEES.some((known) => known === tee)) return;
  throw new PpmlError(
    "attest.unsupported",
    `expected Evidence of ${COCO_TEES.join(", ")}, got ${tee.slice(0, 40)}`,
  );
}

/**
 * Turns the `primary_evidence` of a CoCo guest into Evidence as `/v1` carries it. Nothing is verified.
 * @throws attest.invalid, attest.unsupported
 * @see CoCo guest-components, attestation-agent/attester/src
 */
export function wireOfCocoEvidence(tee: string, primary: unknown): WireEvidence {
  const options = { what: `the ${tee} Evidence`, code: "attest.invalid" } as const;
  switch (tee) {
    case "sim-snp":
      return { type: tee, ...parseWith(simulatedSchema, primary, options) };
    case "tdx":
      return quoteWire(tee, parseWith(tdxSchema, primary, options).quote);
    case "sgx":
      return quoteWire(tee, parseWith(sgxSchema, primary, options).quote);
    case "snp":
      return cocoSnpWire(parseWith(cocoSnpSchema, primary, options));
    case "az-snp-vtpm":
    case "az-tdx-vtpm":
      // Their parser knows the forms; it bounds them too.
      return { type: tee, evidence: toBase64Url(utf8(JSON.stringify(primary))), collateral: {} };
    default:
      throw new PpmlError("attest.unsupported", `Evidence of the TEE ${tee} is not read here`);
  }
}

function quoteWire(type: string, quote: string): WireEvidence {
  try {
    return { type, evidence: toBase64Url(fromBase64(quote)), collateral: {} };
  } catch (cause) {
    throw new PpmlError("attest.invalid", "expected the quote in base64 with padding", { cause });
  }
}
