import { defineCommand, projectFlags } from "../../command.ts";
import { judgeEvidence, judgeFlags } from "../../judge-evidence.ts";
import type { JudgeFlags } from "../../judge-evidence.ts";
import { printable } from "../../output/printable.ts";

/** `ppml attest verify EVIDENCE`: whether Evidence is genuine and, with a policy, acceptable. */
export const command = defineCommand<JudgeFlags, [string]>({
  parameters: {
    flags: { ...projectFlags, ...judgeFlags },
    positional: {
      kind: "tuple",
      parameters: [
        { placeholder: "EVIDENCE", brief: "Raw bytes, hex, base64, JSON", parse: String },
      ],
    },
  },
  description:
    "EVIDENCE is an SGX or TDX quote, an SEV-SNP report, an Azure vTPM's JSON, a token of Microsoft\n" +
    "Azure Attestation, another Verifier's EAR token, wire Evidence or a result's receipt; its kind is\n" +
    "found out. Nothing is fetched without --fetch. Exit code 0 only where it is verified and, with\n" +
    "--policy, accepted; without a policy a TEE that its host can debug, profile or move is refused.",
  async run(context, flags, file) {
    const { report } = await judgeEvidence(context, file, flags);
    const { verified, kind, simulated, tcbStatus, advisoryIds, claims, refusal } = report;
    const tcb = tcbStatus === null ? "" : `, TCB ${tcbStatus}`;
    const found = kind === "ear" ? statusesOf(claims) : "";
    return {
      // What each rule of a policy met is `ppml attest explain --json`'s to say.
      data: { verified, kind, simulated, tcbStatus, advisoryIds, claims, refusal },
      human: () =>
        refusal === null
          ? `${simulated ? "SIMULATED  " : ""}${report.appraisal === null ? "verified" : "accepted"}: ${kind}${tcb}${found}\n`
          : `refused (${refusal.code}): ${printable(refusal.message)}\n  -> ${printable(refusal.remedy)}\n`,
      exitCode: refusal === null ? 0 : 1,
    };
  },
});

/** What another Verifier found is the relying party's to judge: "verified" alone says too much. */
function statusesOf(claims: Readonly<Record<string, unknown>>): string {
  const statuses = Object.entries(claims).filter(([name]) => /(?:^|\.)status$/.test(name));
  return statuses.map(([name, status]) => `, ${printable(`${name} ${String(status)}`)}`).join("");
}
