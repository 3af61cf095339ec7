import { concatBytes, sha256, sha384, unreachable } from "../../base/index.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { MaaEvidence } from "../evidence/maa-evidence.ts";

/** Kinds whose Evidence binds another digest than the 64 bytes of a hardware report's report data. */
type Carrier = "report" | "vtpm" | "maa" | "maa-azurevm";

/**
 * What Evidence of this kind has to bind for runtime data in its JCS form: SHA-384, zero-padded to 64
 * bytes, in a hardware report; the bare SHA-384 as a TPM quote's extraData, and as the nonce of a
 * guest token's client payload; SHA-256, zero-padded to 64, towards MAA.
 * @see docs/format.md section "Runtime data"
 */
export function expectedBinding(evidence: Evidence, runtimeData: Uint8Array): Uint8Array {
  const carrier = carrierOf(evidence);
  switch (carrier) {
    case "report":
      return concatBytes(sha384(runtimeData), new Uint8Array(16));
    case "vtpm":
    case "maa-azurevm":
      return sha384(runtimeData);
    case "maa":
      return concatBytes(sha256(runtimeData), new Uint8Array(32));
    default:
      return unreachable(carrier);
  }
}

/** The bytes that the guest chose and the Evidence vouches for: report data, extraData or payload. */
export function boundData(evidence: Evidence): Uint8Array {
  switch (evidence.type) {
    case "sim-snp":
    case "snp":
      return evidence.report.reportData;
    case "sgx":
    case "sim-sgx":
    case "tdx":
    case "sim-tdx":
      return evidence.quote.body.reportData;
    case "az-snp-vtpm":
    case "az-tdx-vtpm":
      return evidence.vtpm.extraData;
    case "maa":
      return boundByToken(evidence);
    default:
      return unreachable(evidence);
  }
}

function carrierOf(evidence: Evidence): Carrier {
  if (evidence.type === "az-snp-vtpm" || evidence.type === "az-tdx-vtpm") return "vtpm";
  if (evidence.type !== "maa") return "report";
  return evidence.tee.attestationType === "azurevm" ? "maa-azurevm" : "maa";
}

/** A VM's guest token binds the nonce of the client payload; its report data is the paravisor's. */
function boundByToken(evidence: MaaEvidence): Uint8Array {
  const { tee, runtime } = evidence;
  if (tee.attestationType !== "azurevm") return tee.reportData;
  const payload = runtime?.["client-payload"];
  const nonce =
    typeof payload === "object" && payload !== null && "nonce" in payload ? payload.nonce : null;
  return typeof nonce === "string"
    ? new Uint8Array(Buffer.from(nonce, "base64"))
    : new Uint8Array();
}
