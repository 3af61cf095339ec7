import { resolve } from "node:path";
import {
  forecast,
  makePlan,
  resourceWords,
  templateDigest,
} from "../../../provision/azure/deploy/index.ts";
import { loadAzureProject } from "../../azure/azure-project.ts";
import { connectSection } from "../../azure/connect.ts";
import { checkManagedHsm } from "../../azure/managed-hsm.ts";
import { planText } from "../../azure/show-plan.ts";
import { defineCommand, projectFlags, type ProjectFlags } from "../../command.ts";
import { writeJson } from "../../write-json.ts";

type Flags = ProjectFlags & { readonly out?: string; readonly detailedExitcode?: boolean };

/** `ppml azure plan`: what applying would change, from Azure's own what-if. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...projectFlags,
      out: {
        kind: "parsed",
        parse: String,
        brief: "Save the plan, for ppml azure apply",
        placeholder: "FILE",
        optional: true,
      },
      detailedExitcode: {
        kind: "boolean",
        brief: "Exit 2 where something would change, 0 where nothing would",
        optional: true,
        withNegated: false,
      },
    },
  },
  description:
    "Nothing is changed. What Azure's what-if tells and that is no change is left out, by rules that\n" +
    "docs/azure.md lists. A saved plan has a digest: an approval can name it.",
  async run(context, flags) {
    const place = { cwd: context.cwd, folder: flags.project };
    const { section, template } = await loadAzureProject(place);
    const { connection, arm } = await connectSection(section);
    using _ = context.progress({ label: "Asking Azure what would change" });
    await checkManagedHsm(connection, section);
    const found = await forecast(arm, { template, section });
    const plan = makePlan({
      section,
      templateSha256: templateDigest(template),
      forecast: found,
      nowMs: context.clock(),
    });
    const wordsOf = resourceWords(section);
    const hasChanges = plan.changes.length > 0 || !plan.groupExists;
    if (flags.out !== undefined)
      await writeJson(resolve(context.cwd, flags.out), plan, { mode: "replace" });
    return {
      data: {
        ...plan,
        // Not in the saved plan: what is approved is what Azure was asked for.
        changes: plan.changes.map((one) => ({ ...one, ...wordsOf(one.id) })),
        unchanged: found.unchanged,
        out: flags.out ?? null,
      },
      human: () =>
        planText(plan, { style: context.style, wordsOf }) +
        (flags.out === undefined
          ? ""
          : `\nPlan ${context.style.bold(plan.digest)}\nApply it with: ppml azure apply ${flags.out}\n`),
      ...(flags.detailedExitcode === true && hasChanges ? { exitCode: 2 as const } : {}),
    };
  },
});
