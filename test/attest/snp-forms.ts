import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { fromBase64Url, toBase64Url } from "../../src/base/index.ts";
import type { SnpProduct } from "../../src/attest/evidence/snp-fields.ts";
import type { SnpReport } from "../../src/attest/evidence/snp-report.ts";
import { createSnpForm, snpFormReport, snpFormWire } from "../../src/attest/sim/snp-form.ts";
import type { SnpForm, SnpFormRole } from "../../src/attest/sim/snp-form.ts";
import type { CertificateRequest } from "../../src/attest/x509/issue-certificate.ts";
import { verifySnpEvidenceUnder } from "../../src/attest/verify/snp.ts";
import type { WireEvidence } from "../../src/format/protocol.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);
export const YEAR_MS = 365 * 86_400_000;

/** Authorities' keys of this process: P-384, which is quick to make. */
export const keys = { ark: newEcKey(), authority: newEcKey() };

let cachedRsaKey: KeyObject | null = null;

/** One RSA-4096 key a process, for both authorities: making one takes a second. */
export function rsa4096(): KeyObject {
  cachedRsaKey ??= generateKeyPairSync("rsa", { modulusLength: 4096 }).privateKey;
  return cachedRsaKey;
}

export function newEcKey(namedCurve = "P-384"): KeyObject {
  return generateKeyPairSync("ec", { namedCurve }).privateKey;
}

/** A form under this process's P-384 authorities. */
export function formOf(
  product: SnpProduct = "Milan",
  kind: "vcek" | "vlek" = "vcek",
  change?: (role: SnpFormRole, request: CertificateRequest) => CertificateRequest,
): SnpForm {
  return createSnpForm({
    product,
    kind,
    keys,
    nowMs: NOW_MS,
    ...(change === undefined ? {} : { change }),
  });
}

/** The form that most tests share. */
export const milan = formOf();

/** Good Evidence of a form, with changed fields of its report. */
export function wireOf(form: SnpForm, changes: Partial<SnpReport> = {}): WireEvidence {
  return snpFormWire(form, snpFormReport(form, 3, changes));
}

/** Verifies under the form's own root. */
export function verifyForm(form: SnpForm, wire: WireEvidence, nowMs = NOW_MS) {
  const trust = { snp: form.trust, uvmIssuers: [] };
  return verifySnpEvidenceUnder(wire, { nowMs, trust });
}

/** Wire Evidence with one part replaced; `evidence` is the report. */
export function withPart(wire: WireEvidence, part: string, bytes: Uint8Array): WireEvidence {
  const text = toBase64Url(bytes);
  return part === "evidence"
    ? { ...wire, evidence: text }
    : { ...wire, collateral: { ...wire.collateral, [part]: text } };
}

/** The bytes of one part. */
export function partOf(wire: WireEvidence, part: string): Uint8Array {
  return fromBase64Url(part === "evidence" ? wire.evidence : (wire.collateral[part] ?? ""));
}
