import { z } from "zod";
import { isPpmlError, toBase64Url, toHex } from "../../base/index.ts";
import { parseSnpGuestPolicy, parseSnpTcb } from "../../attest/evidence/snp-fields.ts";
import type { SnpReport } from "../../attest/evidence/snp-report.ts";
import { verifySimulatedEvidence } from "../../attest/sim/verify-sim.ts";
import { parseUniqueJson } from "../../attest/token/unique-json.ts";
import { parsePemChain } from "../../attest/x509/pem.ts";
import { invalidParameter } from "./refusal.ts";
import { decode, parse } from "./request.ts";

/** What a verification found: the claims of the token, and what the Evidence binds. */
export type AttestedClaims = {
  readonly claims: Readonly<Record<string, unknown>>;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  /** What the host fixed at the start: HOST_DATA, CONFIGID or MRCONFIGID. */
  readonly initData: Uint8Array;
};

/** Verifies Evidence of one kind up to the root of a simulation. @throws MaaRefusal */
export type EvidenceVerifier = (evidence: Uint8Array, nowMs: number) => AttestedClaims;

/** The JSON in a SevSnpVm request's `report`. */
const reportSchema = z.strictObject({
  SnpReport: z.string().max(10_000),
  VcekCertChain: z.string().max(100_000),
  Endorsements: z.string().max(1_000_000).optional(),
});

/**
 * The verifier of SevSnpVm requests: the simulated platform's report, with its certificates where
 * AMD's would be (VCEK, ASK and, if it is there, ARK, in PEM). `simulationRoot` is the ARK in DER:
 * an ARK in the request is not looked at.
 */
export function simulatedSnpVerifier(simulationRoot: Uint8Array): EvidenceVerifier {
  return (evidence, nowMs) => {
    const request = parse(reportSchema, parseInner(evidence));
    const [vcek, ask, ...rest] = chainOf(decode(request.VcekCertChain, "VcekCertChain"));
    if (vcek === undefined || ask === undefined || rest.length > 1)
      throw invalidParameter("VcekCertChain: expected VCEK, ASK and ARK in PEM");
    const wire = {
      type: "sim-snp",
      evidence: toBase64Url(decode(request.SnpReport, "SnpReport")),
      collateral: { ask: toBase64Url(ask), vcek: toBase64Url(vcek) },
    };
    const { report } = verified(() =>
      verifySimulatedEvidence(wire, { simulationRoot, nowMs }),
    ).evidence;
    return {
      claims: snpClaims(report),
      reportData: report.reportData,
      initData: report.hostData,
    };
  };
}

/**
 * The claims of an SEV-SNP guest, written here by MAA's documents and not with the code that reads
 * them: a name that both had wrong would go unseen.
 * @see learn.microsoft.com/azure/attestation/claim-sets, "SEV-SNP attestation"
 */
function snpClaims(report: SnpReport): Readonly<Record<string, unknown>> {
  const guest = parseSnpGuestPolicy(report.policy);
  const tcb = parseSnpTcb(report.reportedTcb, report);
  const own = {
    authorkeydigest: toHex(report.authorKeyDigest),
    "bootloader-svn": tcb.bootloader,
    familyId: toHex(report.familyId),
    guestsvn: report.guestSvn,
    hostdata: toHex(report.hostData),
    idkeydigest: toHex(report.idKeyDigest),
    imageId: toHex(report.imageId),
    "is-debuggable": guest.debug,
    launchmeasurement: toHex(report.measurement),
    "microcode-svn": tcb.microcode,
    "migration-allowed": guest.migrateMa,
    reportdata: toHex(report.reportData),
    reportid: toHex(report.reportId),
    "smt-allowed": guest.smt,
    "snpfw-svn": tcb.snp,
    "tee-svn": tcb.tee,
    vmpl: report.vmpl,
  };
  return {
    "x-ms-attestation-type": "sevsnpvm",
    ...Object.fromEntries(
      Object.entries(own).map(([name, value]) => [`x-ms-sevsnpvm-${name}`, value]),
    ),
  };
}

function parseInner(evidence: Uint8Array): unknown {
  return verified(() => parseUniqueJson(evidence, "report"));
}

function chainOf(pem: Uint8Array): readonly Uint8Array[] {
  return verified(() => parsePemChain(pem));
}

function verified<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!isPpmlError(error)) throw error;
    throw invalidParameter(error.message, error);
  }
}
