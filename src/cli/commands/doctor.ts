import { statSync } from "node:fs";
import type { Mode } from "../../format/kek.ts";
import { defineCommand } from "../command.ts";
import type { Outcome } from "../command.ts";
import type { CliContext } from "../context.ts";
import type { Finding } from "../doctor/finding.ts";
import { judgeClock } from "../doctor/judge.ts";
import { examineMachine } from "../doctor/machine.ts";
import { examineProject, findProject } from "../doctor/project.ts";
import { examineTee } from "../doctor/tee.ts";
import { printableLines } from "../output/printable.ts";
import { SIMULATED_NOTE, type Style } from "../output/style.ts";
import { padDisplay } from "../output/width.ts";
import { type VaultFlags, vaultFlags } from "../vault.ts";

/** `ppml doctor [tee]`: the machine and the project, or the machine's TEE alone, with remedies. */
export const command = defineCommand<VaultFlags, [("tee" | undefined)?]>({
  parameters: {
    flags: vaultFlags,
    positional: {
      kind: "tuple",
      parameters: [
        {
          placeholder: "WHAT",
          brief: "tee: which TEE this machine has, and why none (otherwise: machine and project)",
          parse: parseSubject,
          optional: true,
        },
      ],
    },
  },
  description:
    "Exits 1 where a finding is FAIL. Nothing is changed. `ppml doctor tee` looks for the machine's TEE:\n" +
    "devices, rights, kernel; it fails where there is none, but for a project of mode simulation.",
  async run(context, flags, subject) {
    const place = { cwd: context.cwd, folder: flags.project };
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

function parseSubject(text: string): "tee" {
  if (text === "tee") return text;
  throw new SyntaxError('expected "tee" or nothing');
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
