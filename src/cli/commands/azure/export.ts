import { toTerraform } from "../../../provision/index.ts";
import { loadAzureProject } from "../../azure/azure-project.ts";
import { defineCommand, projectFlags, type ProjectFlags } from "../../command.ts";
import { toJson } from "../../output/error-report.ts";

type Flags = ProjectFlags & { readonly format?: "arm" | "terraform" };

/** `ppml azure export`: the template for those who deploy it by their own means. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...projectFlags,
      format: {
        kind: "enum",
        values: ["arm", "terraform"],
        brief: "arm: an ARM template. terraform: azapi resources, as a .tf.json file",
        optional: true,
      },
    },
  },
  description:
    "Prints the template to stdout. It was held against ppml's rules; what deploys it elsewhere has to\n" +
    "do the steps after the deployment too: docs/azure.md. Nothing is asked of Azure.",
  async run(context, flags) {
    const place = { cwd: context.cwd, folder: flags.project };
    const { template, section } = await loadAzureProject(place);
    const document = flags.format === "terraform" ? toTerraform(template, section) : template;
    return { data: document, human: () => toJson(document) };
  },
});
