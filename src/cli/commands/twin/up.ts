import { once } from "node:events";
import { twinStartFlags, twinFolder, startTwinHere } from "../../twin-folder.ts";
import type { TwinStartFlags } from "../../twin-folder.ts";
import { defineCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { renderFields } from "../../output/table.ts";
import { SIMULATED_NOTE } from "../../output/style.ts";
import type { Twin } from "../../../twin/index.ts";

type Flags = TwinStartFlags & { readonly quiet?: boolean };

/** `ppml twin up`: the double of Azure on loopback, until it is stopped. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...twinStartFlags,
      quiet: {
        kind: "boolean",
        brief: "Do not write on stderr what is refused",
        optional: true,
        withNegated: false,
      },
    },
  },
  description:
    "Everything listens on 127.0.0.1 only. What the double knows lies in one folder, survives a kill and\n" +
    "is there again with the next start; remove the folder to begin anew. The first start takes subscription,\n" +
    "tenant and the first operator of ppml.yaml's section azure. SIGTERM and SIGINT end it.\n" +
    "With --json, one line of JSON says that it is ready. Programs reach it by `ppml twin exec` or\n" +
    "`ppml twin env`.",
  async run(context, flags) {
    const folder = await twinFolder(context, flags);
    const log = (line: string): void => {
      if (flags.quiet !== true) context.talk(line);
    };
    const ended = Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
    const twin = await startTwinHere(context, { folder, flags, log });
    await context.write(readyText(context, { twin, folder, isJson: flags.json === true }));
    await ended;
    await twin.close();
    return { data: null, human: () => "", written: true };
  },
});

function readyText(
  context: CliContext,
  options: { readonly twin: Twin; readonly folder: string; readonly isJson: boolean },
): string {
  const { twin, folder } = options;
  const { tenantId, subscriptionId, services } = twin;
  const proxy = twin.environment["HTTPS_PROXY"] ?? "";
  if (options.isJson) {
    const { pid } = process;
    const line = { simulated: true, folder, proxy, tenantId, subscriptionId, services, pid };
    return `${JSON.stringify(line)}\n`;
  }
  const fields = renderFields(
    [
      ["mode", SIMULATED_NOTE],
      ["folder", folder],
      ["proxy", proxy],
      ["tenant", tenantId],
      ["subscription", subscriptionId],
      ["services", services.join(", ")],
      ["run a program", "ppml twin exec -- COMMAND"],
      ["in a shell", 'eval "$(ppml twin env)"'],
    ],
    context.style,
  );
  return fields;
}
