import { parse } from "yaml";
import { z } from "zod";
import { utf8 } from "../../../src/base/index.ts";
import { vectorText } from "../vectors.ts";

/** The Azure vTPM Evidence of others by file, as JSON bytes of the form that its attester sends. */
export const VTPM_EVIDENCE_FILES = [
  "azure-vtpm/trustee-az-snp-vtpm-evidence-genoa.json",
  "azure-vtpm/trustee-az-snp-vtpm-evidence-v0.json",
  "azure-vtpm/trustee-az-snp-vtpm-evidence-v1.json",
  "azure-vtpm/trustee-az-snp-vtpm-evidence-v2.json",
  "azure-vtpm/trustee-az-tdx-vtpm-evidence-v0.json",
  "azure-vtpm/trustee-az-tdx-vtpm-evidence-v1.json",
  "azure-vtpm/flashbots-azure-tdx-1764662251380464271.yaml",
  "azure-vtpm/flashbots-azure-tdx-with-ak-intermediates-1780922561.yaml",
  "caci/cleanroom-cvm-insecure-virtual-encryption-attestation.json",
] as const;
export type VtpmEvidenceFile = (typeof VTPM_EVIDENCE_FILES)[number];

/** The file's Evidence as JSON: YAML is converted, clean rooms' wrapper is taken off. */
export function vtpmEvidenceJson(file: VtpmEvidenceFile): Uint8Array {
  const text = vectorText(file);
  if (file.endsWith(".yaml")) return utf8(JSON.stringify(withoutLineBreaks(parse(text))));
  if (!file.startsWith("caci/")) return utf8(text);
  const { report } = z
    .object({ report: z.object({ snpCvm: z.unknown() }) })
    .parse(JSON.parse(text));
  return utf8(JSON.stringify(report.snpCvm));
}

/** base64 stands in YAML blocks over several lines. */
function withoutLineBreaks(value: unknown): unknown {
  const record = z.record(z.string(), z.unknown()).parse(value);
  return Object.fromEntries(
    Object.entries(record).map(([key, item]) => [
      key,
      key.endsWith("_base64") ? String(item).replaceAll(/\s/g, "") : item,
    ]),
  );
}
