import { PpmlError } from "../../base/index.ts";
import { isAbfsUri } from "../../store/index.ts";
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
import { stepsText } from "../azure/data-plane-steps.ts";
import { checkManagedHsm } from "../azure/managed-hsm.ts";
import { planText } from "../azure/show-plan.ts";
import { defineCommand, projectFlags, type ProjectFlags } from "../command.ts";
import type { Project } from "../config/load.ts";
import { printable } from "../output/printable.ts";
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
    "Makes in Azure what the section azure of ppml.yaml says, then the directories of azure.storage with\n" +
    "their rights, and the secrets enclave-key-pem and key-pass where an identity is to read them and they\n" +
    "are not there. Killed or failed half-way: run it again.\n" +
    "In CI, where a person approves: ppml azure plan --out, then ppml azure apply.",
  async run(context, flags) {
    const azure = await loadAzureProject({ cwd: context.cwd, folder: flags.project });
    const { section, template } = azure;
    const { connection, arm } = await connectSection(section);
    for (let stack = await arm.stack(); stack !== null && isAtWork(stack);) {
      context.talk(`${stackName(section)} is ${stack.provisioningState}: waiting for it`);
      await arm.pause();
      stack = await arm.stack();
    }
    await checkManagedHsm(connection, section);
    const found = await forecast(arm, { template, section });
    const templateSha256 = templateDigest(template);
    const nowMs = context.clock();
    const plan = makePlan({ section, templateSha256, forecast: found, nowMs });
    const hasChanges = plan.changes.length > 0 || !plan.groupExists;
    if (hasChanges) {
      context.talk(planText(plan, { style: context.talkStyle, wordsOf: resourceWords(section) }));
      const steps = stepsText(section);
      if (steps !== "") context.talk(steps);
      if (flags.yes !== true && askLine('Type "up" to do this:') !== "up")
        throw new PpmlError("cli.cancelled", "nothing was changed");
    }
    const settled = await applyAndSettle(context, azure, { plan, dataPlane: true });
    const { how, stack, settledKeks, secretRoles, hsm } = settled;
    const outputs = stack?.outputs ?? {};
    const isReady = hsm === null || hsm.next === "roles";
    const next = isReady ? nextCommands(azure.project) : [];
    const nextText =
      next.length === 0
        ? "ppml data put -r SOURCE... DATASET, or ppml data seal"
        : next.map((line) => printable(line)).join(", ");
    return {
      data: {
        ok: true,
        how,
        digest: plan.digest,
        changes: plan.changes,
        outputs,
        settledKeks,
        steps: settled.steps,
        secretRoles,
        hsm,
        next,
      },
      human: () =>
        [
          hasChanges
            ? `${section.resourceGroup} is up: ${stack?.resources.length ?? 0} resources.`
            : `${section.resourceGroup} is up to date.`,
          ...settledLines(settled, context.style),
          ...(!isReady || (section.storage === undefined && next.length === 0)
            ? []
            : [`Next: ${nextText}\n`]),
        ].join("\n"),
    };
  },
});

/** What seals and uploads: nothing is sent unasked. Datasets without a source are results of jobs. */
function nextCommands({ config }: Project): readonly string[] {
  return Object.entries(config.datasets).flatMap(([name, { store, source }]) =>
    isAbfsUri(store) && source !== undefined ? `ppml data seal ${name}` : [],
  );
}
