import { z } from "zod";
import { fromBase64Url, PpmlError, toBase64Url, utf8 } from "../../base/index.ts";
import { requestBytes } from "../../attest/collateral/http.ts";
import type { HttpPorts } from "../../attest/collateral/http.ts";
import { MAX_TOKEN_CHARS } from "../../attest/token/compact-jws.ts";
import { certificatePem } from "../../attest/x509/server-certificate.ts";
import { parseJson } from "../../format/jcs.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { parseWith } from "../../format/schema.ts";

const API_VERSION = "2025-06-01";
const answerSchema = z.object({ token: z.string().min(1).max(MAX_TOKEN_CHARS) });

/**
 * Asks a provider of Azure Attestation for a token over Evidence of SEV-SNP and its runtime data. The
 * token is not verified here: it is for Key Vault, which does.
 * @throws attest.unsupported for other Evidence; attest.fetch; attest.invalid
 * @see azure-rest-api-specs, attestation 2025-06-01, AttestSevSnpVmRequest
 */
export async function requestMaaToken(options: {
  readonly http: HttpPorts;
  /** `https://NAME.REGION.attest.azure.net`. */
  readonly endpoint: string;
  readonly evidence: WireEvidence;
  /** JCS: its SHA-256 is what the Evidence binds. */
  readonly runtimeData: Uint8Array;
  readonly nonce: string;
}): Promise<string> {
  const { http, endpoint, evidence, runtimeData, nonce } = options;
  const what = "a token of Azure Attestation";
  const answer = await requestBytes(http, {
    url: `${endpoint}/attest/SevSnpVm?api-version=${API_VERSION}`,
    what,
    maxBytes: MAX_TOKEN_CHARS + 1024,
    advice:
      "see that the provider in ppml.yaml (direct.attestation) is there and reached, and run the job again",
    json: {
      report: reportOf(evidence),
      runtimeData: { data: toBase64Url(runtimeData), dataType: "JSON" },
      nonce,
    },
  });
  return parseWith(answerSchema, parseJson(answer.body, what), { what, code: "attest.invalid" })
    .token;
}

/** The report with its certificates, as SevSnpVm wants them. */
function reportOf({ type, evidence, collateral }: WireEvidence): string {
  const { vcek, ask, ark } = collateral;
  if ((type !== "snp" && type !== "sim-snp") || vcek === undefined || ask === undefined)
    throw new PpmlError(
      "attest.unsupported",
      `a KEK is released to SEV-SNP guests alone as yet, with VCEK and ASK beside the report; came ${type}: run the job with a broker`,
    );
  const chain = [vcek, ask, ...(ark === undefined ? [] : [ark])]
    .map((text) => certificatePem(fromBase64Url(text)))
    .join("");
  const report = { SnpReport: evidence, VcekCertChain: toBase64Url(utf8(chain)) };
  return toBase64Url(utf8(JSON.stringify(report)));
}
