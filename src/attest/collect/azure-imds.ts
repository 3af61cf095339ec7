import { z } from "zod";
import { fromBase64Url, fromUtf8, PpmlError, toBase64Url } from "../../base/index.ts";
import { HTTP_LIMITS, requestBytes } from "../collateral/http.ts";
import type { HttpAnswer, HttpPorts, HttpRequest } from "../collateral/http.ts";
import { parseAmdHostCertificates } from "../evidence/amd-host-certificates.ts";
import type { AmdHostCertificates } from "../evidence/amd-host-certificates.ts";
import { MAX_QUOTE_BYTES } from "./evidence-of.ts";

/** Azure's host, as every VM reaches it; nobody else does. @see learn.microsoft.com/azure/virtual-machines/instance-metadata-service */
export const AZURE_HOST = "http://169.254.169.254";

/**
 * By 410 the host says that its service is being updated, for 70 seconds at most: three pauses last so long.
 * @see learn.microsoft.com/azure/virtual-machines/instance-metadata-service, "Errors and debugging"
 */
const UPDATING = { status: 410, afterMs: 23_500 };
const LIMITS = { ...HTTP_LIMITS, maxPauseMs: 25_000 };

const quoteSchema = z.object({ quote: z.string().max(2 * MAX_QUOTE_BYTES) });

/**
 * Has Azure's host turn a TDREPORT of 1024 bytes into a TD quote.
 * Rejects with attest.fetch.
 * @see learn.microsoft.com/azure/confidential-computing/guest-attestation-confidential-virtual-machines-design; /acc/tdquote
 */
export async function fetchTdQuote(
  ports: HttpPorts,
  options: { readonly host: string; readonly tdReport: Uint8Array },
): Promise<Uint8Array> {
  const what = "the TD quote";
  const answer = await askHost(ports, {
    url: `${options.host}/acc/tdquote`,
    what,
    maxBytes: 3 * MAX_QUOTE_BYTES,
    json: { report: toBase64Url(options.tdReport) },
  });
  return readAnswer(what, () => {
    const { quote } = quoteSchema.parse(JSON.parse(fromUtf8(answer.body)));
    return fromBase64Url(quote.replace(/={1,2}$/, ""));
  });
}

/**
 * The certificates of this machine's chip, from Azure's host (THIM).
 * Rejects with attest.fetch.
 * @see learn.microsoft.com/azure/security/fundamentals/trusted-hardware-identity-management
 */
export async function fetchAzureAmdCertificates(
  ports: HttpPorts,
  options: { readonly host: string },
): Promise<AmdHostCertificates> {
  const what = "the chip's certificates";
  const answer = await askHost(ports, {
    url: `${options.host}/metadata/THIM/amd/certification`,
    what,
    maxBytes: 256 * 1024,
  });
  return readAnswer(what, () => parseAmdHostCertificates(fromUtf8(answer.body)));
}

function askHost(ports: HttpPorts, request: HttpRequest): Promise<HttpAnswer> {
  const headers = { metadata: "true" };
  return requestBytes(ports, { ...request, headers, later: UPDATING }, LIMITS);
}

function readAnswer<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new PpmlError(
      "attest.fetch",
      `Azure's host gave something else than ${what}: is this a confidential VM of Azure?`,
      { cause },
    );
  }
}
