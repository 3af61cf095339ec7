import { toTimestamp } from "../../base/index.ts";
import type { TeeProfile } from "../../format/attestation-result.ts";
import type { ClaimValue } from "../appraise/rules.ts";
import type { Evidence } from "../evidence/evidence.ts";
import { snpPlatformInfoBits, snpPolicyBits } from "../evidence/snp-fields.ts";
import type { SnpEvidence, SnpVerification } from "../evidence/snp-evidence.ts";
import type { DcapVerification, TcbFinding } from "../verify/dcap/verification.ts";
import type { Verified } from "../verify/verified.ts";
import type { ChainLink } from "./chain.ts";
import { explainResult, shorten, wrap } from "./explain.ts";
import type { EvidenceReport } from "./report.ts";
import { wordOf } from "./words.ts";

/** Whom a profile's Evidence keeps out, and whom it leaves trusted. @see docs/threat-model.md */
const PROFILES: Readonly<Record<TeeProfile, string>> = {
  sim: "a simulation: it keeps nobody out",
  sgx: "keeps out the operating system and whoever runs the machine",
  tdx: "keeps out the hypervisor and whoever runs the machine",
  snp: "keeps out the hypervisor and whoever runs the machine",
  "snp-node":
    "a node: keeps out the hypervisor; whoever administers the VM or cluster is trusted, for the Evidence does not name what runs there",
};

/**
 * Plain lines of at most 80 columns on one piece of Evidence: what it says in the standard's words,
 * its chain, the TCB with its advisories, the policy's claims, the verdict and the remedy. `verified`
 * is null where verification refused it; then only what was refused is told.
 */
export function explainEvidence(options: {
  readonly report: EvidenceReport;
  readonly verified: Verified<Evidence> | null;
  readonly chain: readonly ChainLink[];
  /** What Evidence says that was not verified. */
  readonly unverified: Readonly<Record<string, ClaimValue>>;
}): string[] {
  const { report, verified, chain, unverified } = options;
  return [
    ...(report.simulated ? ["SIMULATED: no hardware stands behind this Evidence."] : []),
    ...(verified !== null
      ? explainVerified(report, verified)
      : Object.keys(report.claims).length > 0 // Only what was verified has claims in its report.
        ? [
            `An Attestation Result (${report.kind}), verified by the given key`,
            ...claimLines(report),
          ]
        : [
            `Evidence of type ${report.kind}, not verified`,
            ...unverifiedLines(report, unverified),
          ]),
    ...(chain.length === 0 ? [] : ["", "Chain", ...chain.map(explainLink)]),
    ...(verified === null ? [] : explainTcb(verified.evidence)),
    ...(report.appraisal === null ? [] : ["", "Policy", ...explainResult(report.appraisal)]),
    "",
    ...explainVerdict(report),
  ].flatMap((line) => (line === "" ? [line] : wrap(line, "    ")));
}

function explainVerified(report: EvidenceReport, verified: Verified<Evidence>): string[] {
  return [
    `Evidence of type ${report.kind}: its signatures and chain hold`,
    `  profile ${verified.profile}: ${PROFILES[verified.profile]}`,
    ...claimLines(report),
  ];
}

function unverifiedLines(
  { kind }: EvidenceReport,
  claims: Readonly<Record<string, ClaimValue>>,
): string[] {
  if (Object.keys(claims).length === 0) return [];
  return claimTable("Claims, NOT VERIFIED: anybody can have written them", claims, kind);
}

function claimLines({ claims, kind }: EvidenceReport): string[] {
  return claimTable("Claims", claims, kind);
}

function claimTable(
  title: string,
  claims: Readonly<Record<string, ClaimValue>>,
  kind: string,
): string[] {
  const names = Object.keys(claims).map((claim) => wordOf(claim, kind));
  const width = Math.max(...names.map((name) => name.length));
  return [
    "",
    title,
    ...Object.entries(claims).map(
      ([claim, value], index) => `  ${(names[index] ?? claim).padEnd(width)}  ${valueText(value)}`,
    ),
  ];
}

function valueText(value: ClaimValue): string {
  if (value === null) return "(this Evidence does not have it)";
  if (typeof value !== "object") return shorten(value);
  return value.length === 0 ? "none" : value.join(", ");
}

function explainLink(link: ChainLink): string {
  const until = toTimestamp(link.notAfterMs).slice(0, 10);
  return `  ${link.name} (${toTimestamp(link.notBeforeMs).slice(0, 10)} to ${until})`;
}

function explainTcb(evidence: Evidence): string[] {
  if ("verification" in evidence) return dcapLines(evidence.verification);
  if (evidence.type === "az-tdx-vtpm") return dcapLines(evidence.tdQuote.evidence.verification);
  return "snp" in evidence ? [...snpLines(evidence.snp), ...snpPlatformLines(evidence)] : [];
}

function dcapLines(verification: DcapVerification): string[] {
  const { platform, currentPlatform, qe, validity, tcbEvaluationDataNumber } = verification;
  return [
    "",
    `TCB: ${verification.tcbStatus}, by collateral of evaluation ${tcbEvaluationDataNumber}`,
    findingLine("platform", platform),
    ...(currentPlatform === null ? [] : [findingLine("its present TDX module", currentPlatform)]),
    findingLine(`Quoting Enclave, ISVSVN ${qe.isvSvn}`, qe),
    `  certificates and collateral are good until ${toTimestamp(validity.toMs)}`,
  ];
}

function findingLine(what: string, finding: TcbFinding): string {
  const advisories =
    finding.advisoryIds.length === 0 ? "" : `; advisories ${finding.advisoryIds.join(", ")}`;
  return `  ${what}: ${finding.status}, TCB of ${toTimestamp(finding.tcbDateMs).slice(0, 10)}${advisories}`;
}

function snpLines({ product, tcb, revocationChecked, validUntilMs }: SnpVerification): string[] {
  const parts = (one: typeof tcb.reported): string =>
    `boot loader ${one.bootloader}, TEE ${one.tee}, SNP ${one.snp}, microcode ${one.microcode}${one.fmc === null ? "" : `, FMC ${one.fmc}`}`;
  return [
    "",
    `TCB of this ${product}`,
    `  reported:  ${parts(tcb.reported)}`,
    `  current:   ${parts(tcb.current)}`,
    `  committed: ${parts(tcb.committed)}`,
    `  at launch: ${parts(tcb.launch)}`,
    `  certificates are good until ${toTimestamp(validUntilMs)}; AMD's revocation list was ${revocationChecked ? "looked at" : "not given"}`,
  ];
}

/** What the report says besides its claims: of the firmware, of the machine, and what the guest allows. */
function snpPlatformLines({ report, snp }: Pick<SnpEvidence, "report" | "snp">): string[] {
  const version = (one: typeof report.currentVersion): string =>
    `${one.major}.${one.minor}.${one.build}`;
  const { abiMajor, abiMinor } = snp.guestPolicy;
  return [
    `  firmware ${version(report.currentVersion)}, committed ${version(report.committedVersion)}; report of version ${report.version}`,
    `  PLATFORM_INFO: ${bitList(snpPlatformInfoBits(report.platformInfo))}`,
    `  POLICY: ${bitList(snpPolicyBits(report.policy))}; ABI ${abiMajor}.${abiMinor} or later`,
  ];
}

function bitList(bits: readonly string[]): string {
  return bits.length === 0 ? "none" : bits.join(", ");
}

function explainVerdict(report: EvidenceReport): string[] {
  const { refusal, appraisal } = report;
  if (refusal !== null)
    return [`REFUSED (${refusal.code}): ${shorten(refusal.message)}`, `  -> ${refusal.remedy}`];
  if (report.kind === "ear")
    return [
      "verified: what its Verifier found stands above; whether that is enough is not judged here",
    ];
  if (appraisal !== null) return ["accepted: verified, and nothing against the policy"];
  return [
    "verified: genuine, and not debuggable; which workload is acceptable is for a policy to say (--policy)",
  ];
}
