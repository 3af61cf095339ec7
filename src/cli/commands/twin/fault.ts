import { existsSync } from "node:fs";
import { join } from "node:path";
import { PpmlError } from "../../../base/index.ts";
import { addFault, FAULT_KINDS, openTwinState } from "../../../twin/index.ts";
import type { Fault } from "../../../twin/index.ts";
import { defineCommand, integerBetween } from "../../command.ts";
import { twinFlags, twinFolder } from "../../twin-folder.ts";
import type { TwinFlags } from "../../twin-folder.ts";

const SERVICES = ["entra", "arm", "keyvault", "maa", "blob", "dfs"] as const;

type Flags = TwinFlags & {
  readonly service: (typeof SERVICES)[number];
  readonly method?: string;
  readonly path?: string;
  readonly status: Fault["status"];
  readonly count?: number;
  readonly retryAfter?: number;
};

/** `ppml twin fault`: makes the next answers of a service fail. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...twinFlags,
      service: { kind: "enum", values: SERVICES, brief: "Whose answers fail" },
      method: {
        kind: "parsed",
        parse: (text) => text.toUpperCase(),
        brief: "Calls of this HTTP method (otherwise: of any)",
        placeholder: "METHOD",
        optional: true,
      },
      path: {
        kind: "parsed",
        parse: String,
        brief: "Calls whose host, path and query this regular expression fits (otherwise: any)",
        placeholder: "REGEXP",
        optional: true,
      },
      status: {
        kind: "parsed",
        parse: parseStatus,
        brief: `400 to 599, ${FAULT_KINDS.join(", ")}`,
        placeholder: "STATUS",
      },
      count: {
        kind: "parsed",
        parse: integerBetween(1, 1_000_000),
        brief: "How many calls (otherwise: 1)",
        placeholder: "N",
        optional: true,
      },
      retryAfter: {
        kind: "parsed",
        parse: integerBetween(0, 3600),
        brief: "Seconds that the answer tells the client to wait",
        placeholder: "S",
        optional: true,
      },
    },
  },
  description:
    "The fault is kept until its calls came, through a restart too. timeout: no answer comes. reset: the\n" +
    "connection breaks. expired-token: the next token is one that has expired (entra), or is refused so.",
  async run(context, flags) {
    const folder = await twinFolder(context, flags);
    if (!existsSync(join(folder, "state.db")))
      throw new PpmlError(
        "twin.missing",
        `no twin was ever started in ${folder}: \`ppml twin up\``,
      );
    using state = openTwinState(folder);
    const fault: Fault = {
      service: flags.service,
      method: flags.method ?? "*",
      path: flags.path ?? "",
      status: flags.status,
      remaining: flags.count ?? 1,
      retryAfterSeconds: flags.retryAfter ?? null,
    };
    addFault(state, fault, context.clock());
    const calls = fault.remaining === 1 ? "call" : `${fault.remaining} calls`;
    return {
      data: fault,
      human: () => `The next ${calls} to ${fault.service} will meet: ${fault.status}\n`,
    };
  },
});

function parseStatus(text: string): Fault["status"] {
  const kind = FAULT_KINDS.find((name) => name === text);
  return kind ?? integerBetween(400, 599)(text);
}
