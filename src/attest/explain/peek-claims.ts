import { fromBase64Url, fromUtf8, isPpmlError, toHex } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { sgxBodyValues } from "../appraise/kinds/sgx.ts";
import { snpReportValues } from "../appraise/kinds/snp.ts";
import { tdBodyValues } from "../appraise/kinds/tdx.ts";
import type { ClaimValue } from "../appraise/rules.ts";
import { readEar } from "../ear/ear.ts";
import { earClaims } from "../ear/ear-claims.ts";
import { parseAzureVtpmJson } from "../evidence/azure-vtpm-json.ts";
import { parseDcapQuote } from "../evidence/dcap-quote.ts";
import { parseHclReport } from "../evidence/hcl-report.ts";
import { parseSnpReport } from "../evidence/snp-report.ts";
import { parseCompactJws } from "../token/compact-jws.ts";
import { parseMaaToken } from "../verify/maa-check.ts";

type Claims = Readonly<Record<string, ClaimValue>>;

/**
 * What Evidence says that was not verified, for showing it as just that: anybody can have written it.
 * Empty where its bytes do not parse.
 */
export function peekClaims(wire: WireEvidence): Claims {
  try {
    return claimsOf(wire);
  } catch (error) {
    if (isPpmlError(error)) return {}; // What does not parse says nothing; verifying says why.
    throw error;
  }
}

function claimsOf(wire: WireEvidence): Claims {
  const bytes = fromBase64Url(wire.evidence);
  switch (wire.type) {
    case "sgx":
    case "tdx":
    case "sim-sgx":
    case "sim-tdx":
      return ofQuote(bytes);
    case "snp":
    case "sim-snp":
      return ofReport(bytes);
    case "az-snp-vtpm":
      return ofReport(parseHclReport(parseAzureVtpmJson(bytes).hclReport).hardwareReport);
    case "az-tdx-vtpm": {
      const { tdQuote } = parseAzureVtpmJson(bytes);
      return tdQuote === null ? {} : ofQuote(tdQuote);
    }
    case "maa":
      return ofToken(fromUtf8(bytes));
    case "ear":
      return earClaims(readEar(parseCompactJws(fromUtf8(bytes), "the EAR token").payload));
    default:
      return {};
  }
}

function ofQuote(bytes: Uint8Array): Claims {
  const quote = parseDcapQuote(bytes);
  const values = quote.tee === "sgx" ? sgxBodyValues(quote.body) : tdBodyValues(quote.body);
  return { ...values, reportData: toHex(quote.body.reportData) };
}

function ofReport(bytes: Uint8Array): Claims {
  const report = parseSnpReport(bytes);
  return { ...snpReportValues(report), reportData: toHex(report.reportData) };
}

/** The token's own claims that are a word or a number; nested ones are left out. */
function ofToken(token: string): Claims {
  const plain = Object.entries(parseMaaToken(token).payload).filter(
    (entry): entry is [string, string | number | boolean] =>
      ["string", "number", "boolean"].includes(typeof entry[1]),
  );
  return Object.fromEntries(plain);
}
