import { fromBase64Url, PpmlError, toBase64Url } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { parseAzureVtpmJson } from "../evidence/azure-vtpm-json.ts";
import { parseDcapQuote } from "../evidence/dcap-quote.ts";
import { CERTIFICATION_DATA } from "../evidence/dcap-signature.ts";
import { parseHclReport } from "../evidence/hcl-report.ts";
import type { SnpProduct } from "../evidence/snp-fields.ts";
import { parseSnpReport } from "../evidence/snp-report.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { parsePemChain } from "../x509/pem.ts";
import { parsePckPlatform } from "../x509/sgx-extension.ts";
import { snpProductOf } from "./amd-certificates.ts";
import { completeSnpCollateral } from "./amd-kds.ts";
import { encodeDcapWireCollateral } from "./dcap-collateral.ts";
import type { FetchOptions } from "./fetch-part.ts";
import { fetchDcapCollateral } from "./intel-pcs.ts";
import type { PcsService } from "./intel-pcs.ts";

/** Where collateral comes from. */
export type CollateralSources = FetchOptions & {
  readonly pcs: PcsService;
  readonly update: "standard" | "early";
  /** AMD_KDS, or another service of the same paths. */
  readonly kds: string;
  /** The product of SNP reports that do not tell it (version 2) and come without their chip's certificate; null refuses them. */
  readonly snpProduct: SnpProduct | null;
};

/**
 * Adds to Evidence of hardware the collateral that verifying it takes, as far as it is not there.
 * Nothing is verified by this: Evidence says where it wants to be verified, and is refused or not by
 * the verifier.
 * Rejects with attest.fetch, attest.invalid, attest.unsupported.
 */
export async function completeEvidence(
  wire: WireEvidence,
  sources: CollateralSources,
): Promise<WireEvidence> {
  const bytes = decode(wire.evidence);
  switch (wire.type) {
    case "sgx":
    case "tdx":
      return withDcap(wire, bytes, sources);
    case "az-tdx-vtpm": {
      const { tdQuote } = parseAzureVtpmJson(bytes);
      if (tdQuote === null)
        throw new PpmlError("attest.invalid", "expected a TD quote in az-tdx-vtpm Evidence");
      return withDcap(wire, tdQuote, sources);
    }
    case "snp":
      return withSnp(wire, { report: bytes, vcek: null, sources });
    case "az-snp-vtpm": {
      const { hclReport, vcek } = parseAzureVtpmJson(bytes);
      return withSnp(wire, { report: parseHclReport(hclReport).hardwareReport, vcek, sources });
    }
    default:
      throw new PpmlError(
        "attest.unsupported",
        `no collateral belongs to Evidence of type ${wire.type}`,
      );
  }
}

async function withDcap(
  wire: WireEvidence,
  quote: Uint8Array,
  sources: CollateralSources,
): Promise<WireEvidence> {
  if (Object.keys(wire.collateral).length > 0) return wire;
  const { tee, signature } = parseDcapQuote(quote);
  const { type, data } = signature.certificationData;
  if (type !== CERTIFICATION_DATA.pckCertificateChain)
    throw new PpmlError(
      "attest.unsupported",
      `the quote names its PCK certificate by certification data of type ${type}, which only its platform's service resolves`,
    );
  const [pck, ca] = parsePemChain(data).map(parseCertificate);
  if (pck === undefined || ca === undefined)
    throw new PpmlError("attest.invalid", "expected the PCK certificate's chain in the quote");
  const collateral = await fetchDcapCollateral(
    {
      service: sources.pcs,
      tee,
      fmspc: parsePckPlatform(pck).fmspc,
      // @see Intel SGX PCK Certificate and CRL Profile Specification rev. 1.5: the CA's common name
      ca: ca.commonName.includes("Processor") ? "processor" : "platform",
      update: sources.update,
    },
    sources,
  );
  return { ...wire, collateral: encodeDcapWireCollateral(collateral) };
}

async function withSnp(
  wire: WireEvidence,
  given: {
    readonly report: Uint8Array;
    /** The VCEK that the Evidence itself brings. */
    readonly vcek: Uint8Array | null;
    readonly sources: CollateralSources;
  },
): Promise<WireEvidence> {
  const { vcek, sources } = given;
  const report = parseSnpReport(given.report);
  // From version 3 on a report says its product itself; of a vTPM's the certificate is asked, as before it.
  const named = vcek !== null || report.cpuid === null ? snpProductOf(wire) : null;
  const have = Object.fromEntries(
    Object.entries(wire.collateral).map(([name, text]) => [name, decode(text)]),
  );
  const found = await completeSnpCollateral(
    {
      service: sources.kds,
      report,
      product: named ?? sources.snpProduct,
      have: vcek === null ? have : { ...have, vcek },
    },
    sources,
  );
  // The wire has a chip's certificate once.
  if (vcek !== null) delete found["vcek"];
  const collateral = Object.entries(found).map(([name, part]) => [name, toBase64Url(part)]);
  return { ...wire, collateral: Object.fromEntries(collateral) };
}

function decode(text: string): Uint8Array {
  try {
    return fromBase64Url(text);
  } catch (cause) {
    throw new PpmlError("attest.invalid", "expected base64url in the Evidence", { cause });
  }
}
