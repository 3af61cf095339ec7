import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { fromBase64Url, toBase64Url } from "../../src/base/index.ts";
import type { SnpReport } from "../../src/attest/evidence/snp-report.ts";
import { vcekExtensions } from "../../src/attest/sim/chip-key-extensions.ts";
import { authorityExtensions, issueCertificate } from "../../src/attest/x509/issue-certificate.ts";
import type { CertificateRequest } from "../../src/attest/x509/issue-certificate.ts";
import { createSimulationPki } from "../../src/attest/sim/pki.ts";
import type { SimulationPki } from "../../src/attest/sim/pki.ts";
import { reportOf, signReport, simulatedPlatformOf } from "../../src/attest/sim/platform.ts";
import type { WireEvidence } from "../../src/format/protocol.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);
export const YEAR_MS = 365 * 86_400_000;

export const pki: SimulationPki = createSimulationPki({ nowMs: NOW_MS });
export const measurement = new Uint8Array(48).fill(0xa1);
export const reportData = new Uint8Array(64).fill(0xb2);

/** Good Evidence of the shared chip. */
export const wire: WireEvidence = simulatedPlatformOf(pki).attest({ measurement, reportData });

/** The good report's fields, without its signature. */
export function unsignedReport(): Omit<SnpReport, "signature"> {
  return reportOf(pki, {
    measurement,
    reportData,
    hostData: new Uint8Array(32),
    reportId: new Uint8Array(32).fill(7),
  });
}

/** Evidence of a report with other fields, properly signed by the shared chip. */
export function signedWire(changes: Partial<SnpReport>): WireEvidence {
  const bytes = signReport({ ...unsignedReport(), ...changes }, pki);
  return { ...wire, evidence: toBase64Url(bytes) };
}

/** Wire Evidence with one of its three parts replaced. */
export function withPart(part: "evidence" | "ask" | "vcek", bytes: Uint8Array): WireEvidence {
  const text = toBase64Url(bytes);
  return part === "evidence"
    ? { ...wire, evidence: text }
    : { ...wire, collateral: { ...wire.collateral, [part]: text } };
}

/** The bytes of one part of the good Evidence. */
export function partOf(part: "evidence" | "ask" | "vcek"): Uint8Array {
  return fromBase64Url(part === "evidence" ? wire.evidence : (wire.collateral[part] ?? ""));
}

export type Role = "ark" | "ask" | "vcek";

/** A chain of our own making: each certificate's request can be changed before it is signed. */
export function makeChain(
  change: (role: Role, request: CertificateRequest) => CertificateRequest,
): { readonly root: Uint8Array; readonly wire: WireEvidence } {
  const keys = { ark: newKey(), ask: newKey(), vcek: newKey() };
  const make = (role: Role, issuer: Role, extensions: Uint8Array[]): Uint8Array =>
    issueCertificate(
      change(role, {
        subject: nameOf(role),
        subjectKey: keys[role],
        issuer: nameOf(issuer),
        issuerKey: keys[issuer],
        notBeforeMs: NOW_MS - YEAR_MS,
        notAfterMs: NOW_MS + YEAR_MS,
        extensions,
      }),
    );
  const root = make("ark", "ark", authorityExtensions(1));
  const ask = make("ask", "ark", authorityExtensions(0));
  const vcek = make("vcek", "ask", vcekExtensions(pki.chip));
  const bytes = signReport(unsignedReport(), { vcekKey: keys.vcek });
  return {
    root,
    wire: {
      type: "sim-snp",
      evidence: toBase64Url(bytes),
      collateral: { ask: toBase64Url(ask), vcek: toBase64Url(vcek) },
    },
  };
}

function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
}

function nameOf(role: Role): string {
  return `${role.toUpperCase()} PPML SIMULATION - NOT HARDWARE`;
}
