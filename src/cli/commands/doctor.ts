import { statSync } from "node:fs";
import { defineCommand } from "../command.ts";
import type { Finding } from "../doctor/finding.ts";
import { judgeClock } from "../doctor/judge.ts";
import { examineMachine } from "../doctor/machine.ts";
import { examineProject, findProject } from "../doctor/project.ts";
import { printableLines } from "../output/printable.ts";
import { SIMULATED_NOTE, type Style } from "../output/style.ts";
import { padDisplay } from "../output/width.ts";
import { type VaultFlags, vaultFlags } from "../vault.ts";

/** `ppml doctor`: the machine and the project, with remedies. */
export const command = defineCommand<VaultFlags>({
  parameters: { flags: vaultFlags },
  description: "Exits 1 where a finding is FAIL. Nothing is changed.",
  async run(context, flags) {
    const place = { cwd: context.cwd, folder: flags.project };
    const { project, finding } = await findProject(place);
    const mode = project?.config.mode ?? null;
    const fileMs = project === null ? null : statSync(project.file).mtimeMs;
    const findings = [
      ...examineMachine(mode),
      judgeClock(context.clock(), fileMs),
      finding,
      ...(project === null ? [] : await examineProject(project, flags)),
    ];
    const hasFailed = findings.some(({ status }) => status === "fail");
    const simulated = mode === "simulation";
    return {
      data: { ok: !hasFailed, mode, simulated, findings },
      human: () => {
        const foot = simulated ? `\n${context.style.warn(SIMULATED_NOTE)}\n` : "";
        return findingsText(findings, context.style) + foot;
      },
      exitCode: hasFailed ? 1 : 0,
    };
  },
});

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
