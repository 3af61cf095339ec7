import { statSync } from "node:fs";
import type { Mode } from "../../format/kek.ts";
import { loadAzureProject } from "../azure/azure-project.ts";
import { defineCommand } from "../command.ts";
import type { Outcome } from "../command.ts";
import type { CliContext } from "../context.ts";
import { type Finding, ok } from "../doctor/finding.ts";
import { judgeClock } from "../doctor/judge.ts";
import { examineMachine } from "../doctor/machine.ts";
import { examineProject, findProject } from "../doctor/project.ts";
import { examineTee } from "../doctor/tee.ts";
import { printableLines } from "../output/printable.ts";
import { SIMULATED_NOTE, type Style } from "../output/style.ts";
import { padDisplay } from "../output/width.ts";
import { type VaultFlags, vaultFlags } from "../vault.ts";

/** `ppml doctor [tee | azure]`: machine and project, its TEE alone, or Azure, with remedies. */
export const command = defineCommand<VaultFlags, [Subject?]>({
  parameters: {
    flags: vaultFlags,
    positional: {
      kind: "tuple",
      parameters: [
        {
          placeholder: "WHAT",
          brief:
            "tee: this machine's TEE, or why none. azure: what would stop a deployment (otherwise: machine and project)",
          parse: parseSubject,
          optional: true,
        },
      ],
    },
  },
  description:
    "Exits 1 where a finding is FAIL. Nothing is changed. `ppml doctor tee` looks for the machine's TEE:\n" +
    "devices, rights, kernel; it fails where there is none, but for a project of mode simulation.\n" +
    "`ppml doctor azure` asks Azure: login, clock, region, permissions, sizes, quotas, retirements, names.",
  async run(context, flags, subject) {
    const place = { cwd: context.cwd, folder: flags.project };
    if (subject === "azure") return outcomeOf(context, await lookAtAzure(context, place));
    const { project, finding } = await findProject(place);
    const mode = project?.config.mode ?? null;
    if (subject === "tee") {
      const { tee, findings } = await examineTee(mode);
      return outcomeOf(context, { mode, findings, more: { tee } });
    }
    const fileMs = project === null ? null : statSync(project.file).mtimeMs;
    const findings = [
      ...examineMachine(mode),
      judgeClock(context.clock(), fileMs),
      finding,
      ...(project === null ? [] : await examineProject(project, flags)),
    ];
    return outcomeOf(context, { mode, findings, more: {} });
  },
});

type Subject = "tee" | "azure";

function parseSubject(text: string): Subject {
  if (text === "tee" || text === "azure") return text;
  throw new SyntaxError('expected "tee", "azure" or nothing');
}

async function lookAtAzure(
  context: CliContext,
  place: { readonly cwd: string; readonly folder?: string | undefined },
) {
  const { section, template, project } = await loadAzureProject(place);
  const [{ examineAzure }, { connectAzure }] = await Promise.all([
    import("../doctor/azure.ts"),
    import("../../azure/index.ts"),
  ]);
  const { transport, tenant } = section;
  const connection = connectAzure({ transport, tenantId: tenant });
  using _ = context.progress({ label: "Looking at Azure" });
  const findings = await examineAzure({ section, template, connection, nowMs: context.clock() });
  const { tee } = await examineTee(project.config.mode);
  const devices =
    tee.way === null
      ? "none on this machine: no matter where it only deploys; `ppml doctor tee` says why"
      : `${tee.evidenceType}, by ${tee.way}`;
  return {
    mode: project.config.mode,
    findings: [...findings, ok("tee", devices)],
    more: {},
  };
}

function outcomeOf(
  context: CliContext,
  report: {
    readonly mode: Mode | null;
    readonly findings: readonly Finding[];
    readonly more: object;
  },
): Outcome {
  const { mode, findings, more } = report;
  const hasFailed = findings.some(({ status }) => status === "fail");
  const simulated = mode === "simulation";
  return {
    data: { ok: !hasFailed, mode, simulated, findings, ...more },
    human: () => {
      const foot = simulated ? `\n${context.style.warn(SIMULATED_NOTE)}\n` : "";
      return findingsText(findings, context.style) + foot;
    },
    exitCode: hasFailed ? 1 : 0,
  };
}

function findingsText(findings: readonly Finding[], style: Style): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const indent = " ".repeat(width + 8);
  const marks = {
    ok: style.good("ok  "),
    warn: style.warn("WARN"),
    fail: style.bad("FAIL"),
  };
  const lines = findings.flatMap(({ check, status, found, remedy }) => [
    `${marks[status]}  ${style.bold(padDisplay(check, width))}  ${printableLines(found).replaceAll("\n", `\n${indent}`)}`,
    ...(remedy === undefined ? [] : [`${indent}${style.dim("try:")} ${printableLines(remedy)}`]),
  ]);
  const count = (status: Finding["status"]) =>
    findings.filter((finding) => finding.status === status).length;
  const total = `${count("ok")} ok, ${count("warn")} to look at, ${count("fail")} failed`;
  return `${lines.join("\n")}\n\n${total}\n`;
}
