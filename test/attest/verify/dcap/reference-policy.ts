import type { DcapQuote } from "../../../../src/attest/evidence/dcap-quote.ts";
import { sgxAttributes } from "../../../../src/attest/evidence/sgx-report.ts";
import { parseTdAttributes } from "../../../../src/attest/evidence/td-attributes.ts";

/** How the reference was run: as it comes, or allowing debug mode and service TDs. */
export type ReferenceMode = "dcap-qvl-rs-0.7.1" | "dcap-qvl-rs-0.7.1+allowDebug";

/**
 * What the reference refuses of a quote's contents, which here is for an appraisal to judge: the
 * reason, or null. Written for comparing verdicts alone.
 */
export function referenceObjection(quote: DcapQuote, mode: ReferenceMode): string | null {
  const lenient = mode === "dcap-qvl-rs-0.7.1+allowDebug";
  if (quote.tee === "sgx")
    return sgxAttributes(quote.body.attributes).debug && !lenient ? "debug" : null;
  const { td15 } = quote.body;
  const attributes = parseTdAttributes(quote.body.tdAttributes);
  if (!lenient && td15?.mrServiceTd.some((byte) => byte !== 0) === true) return "service TD";
  if (!lenient && attributes.debug) return "debug";
  if (!lenient && attributes.profiling) return "profiling";
  if (attributes.reserved !== 0n) return "reserved bits";
  if (attributes.migratable) return "migration";
  if (attributes.serviceTdExtended && !(lenient && td15 !== null)) return "SERVTD_EXT";
  return attributes.septVeDisable ? null : "no SEPT_VE_DISABLE";
}
