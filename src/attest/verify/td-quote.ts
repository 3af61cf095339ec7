import { PpmlError, toBase64Url } from "../../base/index.ts";
import type { TdxEvidence } from "../evidence/dcap-evidence.ts";
import type { VerifyTdQuote } from "./azure-vtpm.ts";
import type { DcapCache } from "./dcap/cache.ts";
import { verifyDcapEvidence } from "./dcap/verify-dcap.ts";
import type { Verified } from "./verified.ts";

/**
 * Verifies the TD quote of an Azure vTPM's Evidence up to Intel's root, with DCAP's collateral as
 * for Evidence of type `tdx`. The function throws what `verifyDcapEvidence` throws.
 */
export function tdQuoteByDcap(cache?: DcapCache): VerifyTdQuote<TdxEvidence> {
  return ({ quote, collateral, nowMs }) => {
    const wire = { type: "tdx", evidence: toBase64Url(quote), collateral };
    const options = cache === undefined ? { nowMs } : { nowMs, cache };
    const verified = verifyDcapEvidence(wire, options);
    if (!isTdx(verified))
      throw new PpmlError("attest.invalid", "expected the quote of a TD in the vTPM's Evidence");
    return { reportData: verified.evidence.quote.body.reportData, verified };
  };
}

function isTdx(verified: ReturnType<typeof verifyDcapEvidence>): verified is Verified<TdxEvidence> {
  return verified.evidence.type === "tdx";
}
