import {
  isAtWork,
  nameOfId,
  resourceWords,
  stackName,
  typeOfId,
} from "../../../provision/azure/deploy/index.ts";
import { loadAzureSection } from "../../azure/azure-project.ts";
import { connectSection } from "../../azure/connect.ts";
import { defineCommand, projectFlags, type ProjectFlags } from "../../command.ts";
import { renderFields, renderTable } from "../../output/table.ts";

/** `ppml azure status`: what the stack has, how it is, and what failed. */
export const command = defineCommand<ProjectFlags>({
  parameters: { flags: projectFlags },
  description:
    "Exits 1 where the last change failed. What a running one does is shown resource by resource.",
  async run(context, flags) {
    const place = { cwd: context.cwd, folder: flags.project };
    const { section } = await loadAzureSection(place);
    const { arm } = await connectSection(section);
    const stack = await arm.stack();
    const name = stackName(section);
    const { resourceGroup } = section;
    if (stack === null)
      return {
        data: { stack: name, resourceGroup, state: null },
        human: () => `There is no ${name} in ${resourceGroup}: begin with \`ppml azure plan\`.\n`,
      };
    const atWork = isAtWork(stack);
    const running =
      atWork && stack.deploymentId !== null ? await arm.progress(stack.deploymentId) : [];
    const stateOf = new Map(running.map((one) => [one.resourceId.toLowerCase(), one.state]));
    const failedIds = new Set(stack.failedResources.map(({ id }) => id.toLowerCase()));
    const ids = [
      ...new Set([
        ...stack.resources,
        ...stack.failedResources.map(({ id }) => id),
        ...running.map(({ resourceId }) => resourceId),
      ]),
    ];
    const wordsOf = resourceWords(section);
    const rows = ids.map((id) => {
      const row = {
        id,
        type: typeOfId(id),
        name: nameOfId(id),
        state: failedIds.has(id.toLowerCase())
          ? "failed"
          : (stateOf.get(id.toLowerCase()) ?? "managed"),
      };
      return Object.assign(row, wordsOf(id));
    });
    const hasFailed = !atWork && stack.provisioningState.toLowerCase() !== "succeeded";
    const { provisioningState: state, description, outputs, failedResources, error } = stack;
    return {
      data: {
        stack: name,
        resourceGroup,
        state,
        description,
        resources: rows,
        failedResources,
        error,
        outputs,
      },
      human: () =>
        renderFields(
          [
            ["stack", `${name} in ${resourceGroup}`],
            ["state", hasFailed ? context.style.bad(state) : state],
            ["plan", description === "" ? "none" : description],
            ...Object.entries(outputs),
          ],
          context.style,
        ) +
        renderTable({
          columns: [{ title: "STATE" }, { title: "TYPE" }, { title: "NAME" }],
          rows: rows.map((one) => [one.state, one.type, wordsOf(one.id)?.words ?? one.name]),
          style: context.style,
        }),
      ...(hasFailed ? { exitCode: 1 as const } : {}),
    };
  },
});
