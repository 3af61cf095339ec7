import { toBase64Url } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { encodeDcapWireCollateral } from "../collateral/dcap-collateral.ts";
import { makeSimCollateral } from "./dcap-collateral.ts";
import type { SimDcapPki } from "./dcap-pki.ts";
import { makeSimQuote } from "./dcap-quote.ts";
import type { SimQuoteBody } from "./dcap-quote.ts";

/** The wire type of simulated DCAP Evidence. */
export type SimDcapType = "sim-sgx" | "sim-tdx";

/**
 * Evidence of a simulated enclave or trust domain, with collateral that is up to date at `nowMs`.
 * Whoever holds `pki` can say any measurement: it stands where the CPU and Intel would.
 */
export function attestSimDcap(
  pki: SimDcapPki,
  options: { readonly quote: SimQuoteBody; readonly nowMs: number },
): WireEvidence & { readonly type: SimDcapType } {
  const { quote, nowMs } = options;
  return {
    type: `sim-${quote.tee}`,
    evidence: toBase64Url(makeSimQuote(pki, quote)),
    collateral: encodeDcapWireCollateral(makeSimCollateral(pki, { tee: quote.tee, nowMs })),
  };
}
