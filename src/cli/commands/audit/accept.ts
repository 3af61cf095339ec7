import { PpmlError } from "../../../base/index.ts";
import { acceptBrokerLog } from "../../../broker/index.ts";
import { defineCommand } from "../../command.ts";
import { openProjectVault, type VaultFlags, vaultFlags } from "../../vault.ts";

type Flags = VaultFlags & { readonly yes?: boolean };

const WHAT_HOLDS_AGAIN =
  "Of what the lost entries say, nothing holds any more: policies are those of then, floors are lower (data seal each dataset again), and nonces of then can be spent again until they end.";

/** `ppml audit accept`: goes on with a broker's state that was restored from a backup. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      yes: {
        kind: "boolean",
        brief: "Needed: that it was the owner who restored it",
        optional: true,
        withNegated: false,
      },
      ...vaultFlags,
    },
  },
  description:
    "The broker does not start with a log that is shorter than it was, or another one. Where you\n" +
    "restored an older copy on purpose, this makes it start again. Where you did not, somebody put\n" +
    "it there: find out who, and put the latest copy back.",
  async run(context, flags) {
    if (flags.yes !== true)
      throw new PpmlError("cli.usage", "expected --yes: it says that you restored the backup", {
        detail: {
          remedy: "ppml audit accept --yes, if you did; otherwise put the latest copy back",
        },
      });
    using open = await openProjectVault(context, flags);
    const { project, root } = open;
    const dir = project.resolve(project.config.broker.state);
    const { size, before } = acceptBrokerLog({ dir, root });
    const was = before === null ? "how many it had is not known" : `it had ${before}`;
    return {
      data: { entries: size, entriesBefore: before },
      human: () =>
        `The broker's log is accepted with ${size} entries; ${was}.\n${WHAT_HOLDS_AGAIN}\n`,
    };
  },
});
