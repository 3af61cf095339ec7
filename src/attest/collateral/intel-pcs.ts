import { equalBytes, fromHex, PpmlError, toHex, utf8 } from "../../base/index.ts";
import { parseCrl } from "../x509/crl.ts";
import { parsePemCertificates } from "../x509/pem.ts";
import type { FetchedCollateral } from "./cache.ts";
import { checkedCollateral } from "./dcap-collateral.ts";
import type { DcapCollateral } from "./dcap-collateral.ts";
import { fetchPart, takePart, textOf } from "./fetch-part.ts";
import type { CollateralPart, FetchOptions } from "./fetch-part.ts";
import type { HttpAnswer } from "./http.ts";
import { parseQeIdentity } from "./qe-identity.ts";
import { rawJsonMember } from "./raw-json.ts";
import { parseTcbInfo } from "./tcb-info.ts";

/** A service that speaks Intel's API, version 4. */
export type PcsService = {
  /** What stands before /sgx/certification/v4, without a slash at its end. */
  readonly api: string;
  /** The root CA's CRL: DER, PEM or hex. */
  readonly rootCrl: string;
};

/** Intel's own service. @see Intel SGX and TDX PCS API v4; the CRL's place stands in the root's certificate */
export const INTEL_PCS: PcsService = {
  api: "https://api.trustedservices.intel.com",
  rootCrl: "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der",
};

/**
 * A caching service (PCCS) at `api`, which gives the root CA's CRL too. Intel's own configuration has the
 * URL with the path of the API, `https://HOST:8081/sgx/certification/v4/`: that is the same.
 * @see Intel PCCS design guide, "rootcacrl"; Intel DCAP, sgx_default_qcnl.conf, pccs_url
 */
export function pccsService(api: string): PcsService {
  const base = api.replace(/\/+$/, "").replace(/\/(?:sgx|tdx)\/certification\/v[34]$/, "");
  return { api: base, rootCrl: `${base}/sgx/certification/v4/rootcacrl` };
}

/** Azure's copy of Intel's service. @see learn.microsoft.com/azure/security/fundamentals/trusted-hardware-identity-management */
export const AZURE_PCS: PcsService = pccsService("https://global.acccache.azure.net");

/** Which collateral is asked for, and where. */
export type DcapCollateralRequest = {
  readonly service: PcsService;
  readonly tee: "sgx" | "tdx";
  /** 6 bytes of the PCK certificate. */
  readonly fmspc: Uint8Array;
  /** Who issued the PCK certificate. */
  readonly ca: "platform" | "processor";
  /** Whether TCB levels count from their publication (early) or from when platforms should have them. */
  readonly update: "standard" | "early";
};

const MAX_JSON_BYTES = 512 * 1024;
const MAX_CRL_BYTES = 4 * 1024 * 1024;

/**
 * Fetches what verifying a DCAP quote takes, each part from the cache where it is still good. Parts
 * are looked at enough to know that they are what was asked for; verifying them is the verifier's.
 * Rejects with attest.fetch.
 * @see Intel SGX and TDX PCS API v4
 */
export async function fetchDcapCollateral(
  request: DcapCollateralRequest,
  options: FetchOptions,
): Promise<DcapCollateral> {
  const { service, tee, fmspc, ca, update } = request;
  const sgx = `${service.api}/sgx/certification/v4`;
  const certification = `${service.api}/${tee}/certification/v4`;
  const get = (
    url: string,
    what: string,
    read: CollateralPart["read"],
  ): Promise<FetchedCollateral["parts"]> =>
    fetchPart({ url, what, maxBytes: MAX_CRL_BYTES, read }, options);
  const [tcbInfo, qeIdentity, pckCrl, rootCrl] = await Promise.all([
    get(
      `${certification}/tcb?fmspc=${toHex(fmspc).toUpperCase()}&update=${update}`,
      "the TCB info",
      (answer) => readTcbInfo(answer, { tee, fmspc }),
    ),
    get(`${certification}/qe/identity?update=${update}`, "the QE identity", (answer) =>
      readQeIdentity(answer, tee),
    ),
    get(`${sgx}/pckcrl?ca=${ca}&encoding=der`, "the PCK CRL", readPckCrl),
    get(service.rootCrl, "the root CA's CRL", ({ body }) => readCrl(body)),
  ]);
  return checkedCollateral({
    pckCrlIssuerChain: takePart(pckCrl, "chain"),
    rootCaCrl: takePart(rootCrl, "crl"),
    pckCrl: takePart(pckCrl, "crl"),
    tcbInfoIssuerChain: takePart(tcbInfo, "chain"),
    tcbInfo: takePart(tcbInfo, "json"),
    tcbInfoSignature: takePart(tcbInfo, "signature"),
    qeIdentityIssuerChain: takePart(qeIdentity, "chain"),
    qeIdentity: takePart(qeIdentity, "json"),
    qeIdentitySignature: takePart(qeIdentity, "signature"),
    pckCertificateChain: null,
  });
}

function readTcbInfo(
  answer: HttpAnswer,
  asked: { readonly tee: "sgx" | "tdx"; readonly fmspc: Uint8Array },
): FetchedCollateral {
  const { json, signature } = readSigned(answer.body, "tcbInfo");
  const { id, fmspc, nextUpdate } = parseTcbInfo(json);
  if (id !== asked.tee.toUpperCase() || !equalBytes(fmspc, asked.fmspc))
    throw new PpmlError("attest.invalid", `it is of ${id} and the FMSPC ${toHex(fmspc)}`);
  const chain = readChain(answer.headers, ["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"]);
  return { parts: { json, signature, chain }, expiresMs: nextUpdate };
}

function readQeIdentity(answer: HttpAnswer, tee: "sgx" | "tdx"): FetchedCollateral {
  const { json, signature } = readSigned(answer.body, "enclaveIdentity");
  const { id, nextUpdate } = parseQeIdentity(json);
  if (id !== (tee === "sgx" ? "QE" : "TD_QE"))
    throw new PpmlError("attest.invalid", `it is the identity of ${id}`);
  const chain = readChain(answer.headers, ["SGX-Enclave-Identity-Issuer-Chain"]);
  return { parts: { json, signature, chain }, expiresMs: nextUpdate };
}

function readPckCrl(answer: HttpAnswer): FetchedCollateral {
  const { parts, expiresMs } = readCrl(answer.body);
  const chain = readChain(answer.headers, ["SGX-PCK-CRL-Issuer-Chain"]);
  return { parts: { ...parts, chain }, expiresMs };
}

/** DER as Intel gives it; hex or PEM as caching services do. */
function readCrl(body: Uint8Array): FetchedCollateral {
  const crl = decodeCrl(body);
  return { parts: { crl }, expiresMs: parseCrl(crl).nextUpdateMs };
}

/** A CRL's DER, of what a service gave or somebody kept: DER, hex or PEM. Nothing is verified. */
export function decodeCrl(body: Uint8Array): Uint8Array {
  // 0x30 begins a DER SEQUENCE. Hex of one begins with the digit 3, PEM with a dash.
  if (body[0] === 0x30) return body;
  const text = Buffer.from(body).toString("latin1").trim();
  if (/^(?:[0-9a-fA-F]{2})+$/.test(text)) return fromHex(text);
  const pem = /^-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----$/.exec(text)?.[1];
  return pem === undefined ? body : new Uint8Array(Buffer.from(pem, "base64"));
}

/**
 * Splits `{"NAME": {...}, "signature": "hex"}`: the signature is over the exact text of the value.
 * @throws attest.invalid
 */
export function readSigned(
  body: Uint8Array,
  name: string,
): { readonly json: Uint8Array; readonly signature: Uint8Array } {
  if (body.byteLength > MAX_JSON_BYTES)
    throw new PpmlError("attest.invalid", `it has ${body.byteLength} bytes`);
  const text = textOf(body);
  const signature: unknown = JSON.parse(rawJsonMember(text, "signature"));
  if (typeof signature !== "string" || !/^[0-9a-fA-F]{128}$/.test(signature))
    throw new PpmlError("attest.invalid", "its signature is not 64 bytes in hex");
  return { json: utf8(rawJsonMember(text, name)), signature: fromHex(signature) };
}

/** An issuer's chain comes percent-encoded in a header. */
function readChain(headers: Headers, names: readonly string[]): Uint8Array {
  const value = names.map((name) => headers.get(name)).find((found) => found !== null);
  if (value === undefined || value === null)
    throw new PpmlError("attest.invalid", `it has no header ${names[0]}`);
  const pem = decodePercent(value);
  parsePemCertificates(pem);
  return utf8(pem);
}

/** A chain as a header has it. @throws attest.invalid */
export function decodePercent(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw new PpmlError("attest.invalid", "its chain is not percent-encoded", { cause });
  }
}
