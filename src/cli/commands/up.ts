import { PpmlError } from "../../base/index.ts";
import {
  forecast,
  isAtWork,
  makePlan,
  stackName,
  templateDigest,
  resourceWords,
} from "../../provision/azure/deploy/index.ts";
import { applyAndSettle, settledLines } from "../azure/apply-steps.ts";
import { loadAzureProject } from "../azure/azure-project.ts";
import { connectSection } from "../azure/connect.ts";
import { planText } from "../azure/show-plan.ts";
import { defineCommand, projectFlags, type ProjectFlags } from "../command.ts";
import { askLine } from "../terminal.ts";

type Flags = ProjectFlags & { readonly yes?: boolean };

/** `ppml up`: plan, ask, apply, and the steps after it. Run it as often as you like. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...projectFlags,
      yes: { kind: "boolean", brief: "Do not ask", optional: true, withNegated: false },
    },
  },
  description:
    "Makes in Azure what the section azure of ppml.yaml says. Killed or failed half-way: run it again.\n" +
    "In CI, where a person approves: ppml azure plan --out, then ppml azure apply.",
  async run(context, flags) {
    const azure = await loadAzureProject({ cwd: context.cwd, folder: flags.project });
    const { section, template } = azure;
    const { arm } = await connectSection(section);
    for (let stack = await arm.stack(); stack !== null && isAtWork(stack);) {
      context.talk(`${stackName(section)} is ${stack.provisioningState}: waiting for it`);
      await arm.pause();
      stack = await arm.stack();
    }
    const found = await forecast(arm, { template, section });
    const templateSha256 = templateDigest(template);
    const nowMs = context.clock();
    const plan = makePlan({ section, templateSha256, forecast: found, nowMs });
    const hasChanges = plan.changes.length > 0 || !plan.groupExists;
    if (hasChanges) {
      context.talk(planText(plan, { style: context.talkStyle, wordsOf: resourceWords(section) }));
      if (flags.yes !== true && askLine('Type "up" to do this:') !== "up")
        throw new PpmlError("cli.cancelled", "nothing was changed");
    }
    const settled = await applyAndSettle(context, azure, plan);
    const { how, stack, settledKeks, secretRoles } = settled;
    const outputs = stack?.outputs ?? {};
    return {
      data: {
        ok: true,
        how,
        digest: plan.digest,
        changes: plan.changes,
        outputs,
        settledKeks,
        secretRoles,
      },
      human: () =>
        [
          hasChanges
            ? `${section.resourceGroup} is up: ${stack?.resources.length ?? 0} resources.`
            : `${section.resourceGroup} is up to date.`,
          ...settledLines(settled, context.style),
        ].join("\n"),
    };
  },
});
