import { fromBase64Url, isPpmlError } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { parseAzureVtpmJson } from "../evidence/azure-vtpm-json.ts";
import { parseDcapQuote } from "../evidence/dcap-quote.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { parsePemChain } from "../x509/pem.ts";

/** One certificate of a chain, leaf first, as it says of itself: nothing here is verified. */
export type ChainLink = {
  readonly name: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
};

const SNP_ORDER = ["vcek", "vlek", "ask", "asvk", "ark"] as const;

/**
 * The certificates that Evidence came with, from the key that signed up to the root, for showing.
 * Empty where it brings none, as tokens do not, or none that can be read.
 */
export function chainOf(wire: WireEvidence): readonly ChainLink[] {
  try {
    return certificatesOf(wire).map((der) => {
      const { commonName, notBeforeMs, notAfterMs } = parseCertificate(der);
      return { name: commonName, notBeforeMs, notAfterMs };
    });
  } catch (error) {
    if (isPpmlError(error)) return []; // What cannot be read cannot be shown; verifying says why.
    throw error;
  }
}

function certificatesOf(wire: WireEvidence): readonly Uint8Array[] {
  const { type, collateral } = wire;
  const bytes = fromBase64Url(wire.evidence);
  switch (type) {
    case "sgx":
    case "tdx":
    case "sim-sgx":
    case "sim-tdx":
      return ofQuote(bytes, collateral);
    case "az-tdx-vtpm": {
      const { tdQuote } = parseAzureVtpmJson(bytes);
      return tdQuote === null ? [] : ofQuote(tdQuote, collateral);
    }
    case "az-snp-vtpm": {
      const { vcek } = parseAzureVtpmJson(bytes);
      return [...(vcek === null ? [] : [vcek]), ...ofSnp(collateral)];
    }
    case "snp":
    case "sim-snp":
      return ofSnp(collateral);
    default:
      return [];
  }
}

function ofQuote(bytes: Uint8Array, collateral: WireEvidence["collateral"]): readonly Uint8Array[] {
  const given = collateral["pckCertificateChain"];
  const { data } = parseDcapQuote(bytes).signature.certificationData;
  return parsePemChain(given === undefined ? data : fromBase64Url(given));
}

function ofSnp(collateral: WireEvidence["collateral"]): readonly Uint8Array[] {
  return SNP_ORDER.flatMap((name) => {
    const text = collateral[name];
    return text === undefined ? [] : [fromBase64Url(text)];
  });
}
