import { resolve } from "node:path";
import { PpmlError } from "../../../base/index.ts";
import { resourceWords } from "../../../provision/azure/deploy/index.ts";
import { applyAndSettle, loadPlan, settledLines } from "../../azure/apply-steps.ts";
import { loadAzureProject } from "../../azure/azure-project.ts";
import { planText } from "../../azure/show-plan.ts";
import { defineCommand, projectFlags, type ProjectFlags } from "../../command.ts";
import { askLine } from "../../terminal.ts";

type Flags = ProjectFlags & { readonly yes?: boolean; readonly digest?: string };

/** `ppml azure apply PLAN`: what the plan says, and only where it is still true. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      ...projectFlags,
      yes: { kind: "boolean", brief: "Do not ask", optional: true, withNegated: false },
      digest: {
        kind: "parsed",
        parse: parseDigest,
        brief: "Refuse another plan than the approved one of this digest",
        placeholder: "SHA256",
        optional: true,
      },
    },
    positional: {
      kind: "tuple",
      parameters: [{ placeholder: "PLAN", brief: "File of ppml azure plan --out", parse: String }],
    },
  },
  description:
    "Azure is asked again what would change; where that is not what the plan says, nothing is done.\n" +
    "Killed, or failed half-way: run it again, and it finishes the rest or waits for what runs.",
  async run(context, flags, file) {
    const place = { cwd: context.cwd, folder: flags.project };
    const plan = await loadPlan(resolve(context.cwd, file));
    if (flags.digest !== undefined && flags.digest !== plan.digest)
      throw new PpmlError(
        "provision.plan_invalid",
        `${file} is the plan ${plan.digest}, not the approved ${flags.digest}`,
      );
    const azure = await loadAzureProject(place);
    if (flags.yes !== true) {
      context.talk(
        planText(plan, { style: context.talkStyle, wordsOf: resourceWords(azure.section) }),
      );
      if (askLine('Type "apply" to do this:') !== "apply")
        throw new PpmlError("cli.cancelled", "nothing was changed");
    }
    const settled = await applyAndSettle(context, azure, { plan, dataPlane: false });
    const { how, stack, settledKeks, secretRoles, hsm } = settled;
    const outputs = stack?.outputs ?? {};
    return {
      data: { ok: true, how, digest: plan.digest, outputs, settledKeks, secretRoles, hsm },
      human: () =>
        [
          how === "nothing-to-do"
            ? "Nothing was to be done: Azure has what the plan says."
            : `Applied. ${stack?.resources.length ?? 0} resources in ${azure.section.resourceGroup}.`,
          ...settledLines(settled, context.style),
        ].join("\n"),
    };
  },
});

function parseDigest(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new SyntaxError("expected 64 hex digits");
}
