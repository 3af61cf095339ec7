import { exportPublicKey, kekThumbprint } from "../../../key/index.ts";
import { defineCommand } from "../../command.ts";
import { kekArgument, type KekFlags, kekFlags } from "../../kek-arguments.ts";
import { SIMULATED_NOTE } from "../../output/style.ts";
import { findKek, findVersion, openProjectVault } from "../../vault.ts";

type Flags = KekFlags & { readonly format: "pem" | "jwk" };

/** `ppml key export NAME`: the public half, on stdout. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      format: {
        kind: "enum",
        values: ["pem", "jwk"],
        brief: "Form of the key",
        default: "pem",
      },
      ...kekFlags,
    },
    positional: kekArgument,
  },
  description:
    "Whoever has it can seal for the KEK and open nothing. Compare the thumbprint, which goes to\n" +
    "stderr, with the receiver over another way.",
  async run(context, flags, name) {
    using open = await openProjectVault(context, flags);
    const kek = await findKek(open.vault, name);
    const version =
      flags.kekVersion === undefined ? undefined : findVersion(kek, flags.kekVersion).kekVersion;
    const publicKey = await open.vault.publicKey(kek.kekId, version);
    const text = exportPublicKey(publicKey, flags.format);
    const thumbprint = kekThumbprint(publicKey.jwk);
    const { kekId, kekVersion, kind, mode } = publicKey;
    const simulated = mode === "simulation";
    const data = { kekId, kekVersion, kind, mode, simulated, thumbprint };
    if (!context.isJson) {
      context.talk(`thumbprint ${thumbprint}`);
      if (simulated) context.talk(context.talkStyle.warn(SIMULATED_NOTE));
    }
    return { data: { ...data, format: flags.format, text }, human: () => text };
  },
});
