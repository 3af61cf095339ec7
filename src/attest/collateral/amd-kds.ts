import { PpmlError, toHex } from "../../base/index.ts";
import { parseSnpTcbOf, snpProductOfCpuid } from "../evidence/snp-fields.ts";
import type { SnpProduct, SnpTcb } from "../evidence/snp-fields.ts";
import type { SnpReport } from "../evidence/snp-report.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { parseCrl } from "../x509/crl.ts";
import { parsePemCertificates } from "../x509/pem.ts";
import { fetchPart, takePart, textOf } from "./fetch-part.ts";
import type { FetchOptions } from "./fetch-part.ts";

/** AMD's key distribution service. @see AMD 57230 (VCEK), section 4 */
export const AMD_KDS = "https://kdsintf.amd.com";

/** Turin's hardware id is 8 bytes, in a report's CHIP_ID zeros follow it. @see AMD 57230 (VCEK), table of hwID */
const TURIN_HWID_BYTES = 8;
const MAX_CERTIFICATE_BYTES = 64 * 1024;
const MAX_CRL_BYTES = 1024 * 1024;

/** A chip's key of one TCB is always the same; AMD revokes authorities only, by the list that is fetched each day. */
const VCEK_MAX_AGE_MS = 365 * 86_400_000;

/** Which kind of key signed a report: the chip's own, or one that AMD leases to a cloud. */
export type AmdKeyKind = "vcek" | "vlek";

/**
 * The URL of a chip's VCEK certificate for a TCB.
 * @throws attest.invalid for a Turin chip id that is longer than its hardware id, or without FMC
 * @see AMD 57230 (VCEK), section 4.1
 */
export function vcekUrl(options: {
  readonly service: string;
  readonly product: SnpProduct;
  /** 64 bytes of the report. */
  readonly chipId: Uint8Array;
  readonly tcb: SnpTcb;
}): string {
  const { service, product, chipId, tcb } = options;
  const turin = product === "Turin";
  if (turin !== (tcb.fmc !== null))
    throw new PpmlError("attest.invalid", "expected an FMC SVN for Turin, and for no other");
  if (turin && chipId.subarray(TURIN_HWID_BYTES).some((byte) => byte !== 0))
    throw new PpmlError("attest.invalid", "expected a Turin chip id of 8 bytes, filled with zeros");
  const hwId = toHex(turin ? chipId.subarray(0, TURIN_HWID_BYTES) : chipId);
  const levels = [
    ...(tcb.fmc === null ? [] : [`fmcSPL=${twoDigits(tcb.fmc)}`]),
    `blSPL=${twoDigits(tcb.bootloader)}`,
    `teeSPL=${twoDigits(tcb.tee)}`,
    `snpSPL=${twoDigits(tcb.snp)}`,
    `ucodeSPL=${twoDigits(tcb.microcode)}`,
  ];
  return `${service}/vcek/v1/${product}/${hwId}?${levels.join("&")}`;
}

/**
 * Fetches the VCEK's certificate in DER, good for as long as it says and at most a year: AMD's service
 * answers one that asks often with 429 for minutes.
 * Rejects with attest.fetch, attest.invalid.
 */
export async function fetchVcek(
  request: Parameters<typeof vcekUrl>[0],
  options: FetchOptions,
): Promise<Uint8Array> {
  const parts = await fetchPart(
    {
      url: vcekUrl(request),
      what: "the VCEK certificate",
      maxBytes: MAX_CERTIFICATE_BYTES,
      maxAgeMs: VCEK_MAX_AGE_MS,
      read: ({ body }) => ({ parts: { vcek: body }, expiresMs: parseCertificate(body).notAfterMs }),
    },
    options,
  );
  return takePart(parts, "vcek");
}

/**
 * Fetches a product's authorities in DER: `intermediate` is the ASK, or for VLEKs the ASVK.
 * Rejects with attest.fetch.
 * @see AMD 57230 (VCEK), section 4.2
 */
export async function fetchAmdChain(
  request: { readonly service: string; readonly product: SnpProduct; readonly kind: AmdKeyKind },
  options: FetchOptions,
): Promise<{ readonly intermediate: Uint8Array; readonly ark: Uint8Array }> {
  const { service, product, kind } = request;
  const parts = await fetchPart(
    {
      url: `${service}/${kind}/v1/${product}/cert_chain`,
      what: `the certificate chain of ${product}`,
      maxBytes: MAX_CERTIFICATE_BYTES,
      read: ({ body }) => {
        const [intermediate, ark, ...more] = parsePemCertificates(textOf(body));
        if (intermediate === undefined || ark === undefined || more.length > 0)
          throw new PpmlError("attest.invalid", "expected two certificates, intermediate and ARK");
        const ends = [intermediate, ark].map((der) => parseCertificate(der).notAfterMs);
        return { parts: { intermediate, ark }, expiresMs: Math.min(...ends) };
      },
    },
    options,
  );
  return { intermediate: takePart(parts, "intermediate"), ark: takePart(parts, "ark") };
}

/**
 * Fetches the ARK's revocation list in DER.
 * Rejects with attest.fetch.
 * @see AMD 57230 (VCEK), section 4.3
 */
export async function fetchAmdCrl(
  request: { readonly service: string; readonly product: SnpProduct; readonly kind: AmdKeyKind },
  options: FetchOptions,
): Promise<Uint8Array> {
  const { service, product, kind } = request;
  const parts = await fetchPart(
    {
      url: `${service}/${kind}/v1/${product}/crl`,
      what: `the revocation list of ${product}`,
      maxBytes: MAX_CRL_BYTES,
      read: ({ body }) => ({ parts: { crl: body }, expiresMs: parseCrl(body).nextUpdateMs }),
    },
    options,
  );
  return takePart(parts, "crl");
}

/**
 * Completes what verifying an SNP report takes: what the host gave (`have`) stays, the rest is
 * fetched, and always the revocation list. A VLEK has to come from the host: AMD gives it to nobody
 * else. Names are those of `snp` Evidence on the wire.
 * Rejects with attest.fetch, attest.invalid, attest.unsupported.
 */
export async function completeSnpCollateral(
  request: {
    readonly service: string;
    readonly report: SnpReport;
    /** The product line; null takes it from the report, which has it from version 3 on. */
    readonly product: SnpProduct | null;
    readonly have: Readonly<Record<string, Uint8Array>>;
  },
  options: FetchOptions,
): Promise<Record<string, Uint8Array>> {
  const { service, report, have } = request;
  const kind = report.signingKey === "vlek" ? "vlek" : "vcek";
  const product = request.product ?? productOf(report);
  const fetchLeaf = (): Promise<Uint8Array> => {
    const tcb = parseSnpTcbOf(report.reportedTcb, product);
    return fetchVcek({ service, product, chipId: report.chipId, tcb }, options);
  };
  const leaf = have[kind] ?? (kind === "vcek" ? await fetchLeaf() : undefined);
  if (leaf === undefined)
    throw new PpmlError(
      "attest.fetch",
      "the report is signed by a VLEK, whose certificate only the host has: ask it for the extended report",
    );
  const name = kind === "vcek" ? "ask" : "asvk";
  const { uvm, ark, [name]: intermediate } = have;
  // AMD's service answers few requests: what is here is not asked for.
  const fetchChain = async (): ReturnType<typeof fetchAmdChain> =>
    ark !== undefined && intermediate !== undefined
      ? { ark, intermediate }
      : await fetchAmdChain({ service, product, kind }, options);
  const [chain, crl] = await Promise.all([
    fetchChain(),
    fetchAmdCrl({ service, product, kind }, options),
  ]);
  return {
    ...(uvm === undefined ? {} : { uvm }),
    ark: ark ?? chain.ark,
    [name]: intermediate ?? chain.intermediate,
    [kind]: leaf,
    crl,
  };
}

function productOf(report: SnpReport): SnpProduct {
  if (report.cpuid !== null) return snpProductOfCpuid(report.cpuid);
  throw new PpmlError(
    "attest.invalid",
    "a report of version 2 does not tell its product, and it came without its chip's certificate, which does: give that along",
  );
}

/** SPLs are decimal, two digits or more. */
function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
