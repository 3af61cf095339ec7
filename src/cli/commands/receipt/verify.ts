import { resolve } from "node:path";
import { PpmlError, readBoundedFile } from "../../../base/index.ts";
import { parseJson } from "../../../format/jcs.ts";
import { parseReceiptFile, verifyReceiptFile } from "../../../receipt/index.ts";
import type { ReceiptReport } from "../../../receipt/index.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import type { CliContext } from "../../context.ts";
import { simulatedMark } from "../../output/style.ts";
import { renderTable } from "../../output/table.ts";
import { loadRoots, maaProvidersOf, projectRoots, simulationRootOf } from "../../pinned-roots.ts";
import { loadPolicyFile } from "../../policy-file.ts";

/** A receipt carries its Evidence with the collateral, some 100 KB. */
const MAX_RECEIPT_BYTES = 16 * 1024 * 1024;

type Flags = ProjectFlags & { readonly roots?: string; readonly policy?: string };

/** `ppml receipt verify FILE`: verifies a receipt offline, from pinned roots alone. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      ...projectFlags,
      roots: {
        kind: "parsed",
        parse: String,
        brief: "File of pinned roots (otherwise: the project's roots.json)",
        placeholder: "FILE",
        optional: true,
      },
      policy: {
        kind: "parsed",
        parse: String,
        brief: "Also hold the Evidence against this policy of ppml.yaml",
        placeholder: "POLICY",
        optional: true,
      },
    },
    positional: {
      kind: "tuple",
      parameters: [{ placeholder: "FILE", brief: "The receipt's file", parse: String }],
    },
  },
  description:
    "Needs no broker, vault or network. Exit code 0 only if no check failed. Without --policy it\n" +
    "does not say which code ran.",
  async run(context, flags, file) {
    const roots =
      flags.roots === undefined
        ? await projectRoots(await loadProject({ cwd: context.cwd, folder: flags.project }))
        : await loadRoots(resolve(context.cwd, flags.roots));
    const path = resolve(context.cwd, file);
    const bytes = await readBoundedFile(path, {
      what: `the receipt ${file}`,
      maxBytes: MAX_RECEIPT_BYTES,
      code: "receipt.invalid",
      remedy: "name a receipt's file: ppml receipt list shows those of this project",
    });
    const report = await verifyReceiptFile({
      file: parseReceiptFile(parseJson(bytes, file)),
      roots: {
        logKey: roots.logKey,
        simulationRoot: simulationRootOf(roots),
        maaProviders: maaProvidersOf(roots),
        appraisal: await appraisalOf(context, flags),
      },
      nowMs: context.clock(),
    });
    return {
      data: report,
      human: () => describe(context, report),
      exitCode: report.accepted ? 0 : 1,
    };
  },
});

async function appraisalOf(context: CliContext, flags: Flags) {
  if (flags.policy === undefined) return null;
  const project = await loadProject({ cwd: context.cwd, folder: flags.project });
  const { appraisal } = await loadPolicyFile(project, flags.policy);
  if (appraisal === null)
    throw new PpmlError("release.policy", `policy ${flags.policy} says nothing about Evidence`);
  return appraisal;
}

const MARKS = { passed: "ok", failed: "FAILED", "not-checked": "-" } as const;

function describe(context: CliContext, report: ReceiptReport): string {
  const mark = report.simulated ? `  ${simulatedMark(context.style)}` : "";
  return [
    renderTable({
      columns: [{ title: "CHECK" }, { title: "" }, { title: "FOUND" }],
      rows: report.checks.map(({ check, outcome, detail }) => [check, MARKS[outcome], detail]),
      style: context.style,
    }).trimEnd(),
    "",
    `${report.kind} receipt: ${report.accepted ? "verified" : "NOT VERIFIED"}${mark}`,
    ...report.doesNotProve.map((sentence) => `  not proved: ${sentence}`),
    "",
  ].join("\n");
}
