import { PpmlError } from "../../../base/index.ts";
import { envelopeDigest, signObject } from "../../../format/signed-object.ts";
import type { BrokerClient } from "../../../launch/index.ts";
import { checkPolicy, nextPolicy } from "../../../release/index.ts";
import { withBroker } from "../../broker-process.ts";
import { defineCommand } from "../../command.ts";
import { renderFields } from "../../output/table.ts";
import { loadPolicyFile } from "../../policy-file.ts";
import { policyInForce } from "../../policy-in-force.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";
import type { Workspace } from "../../workspace.ts";

/** `ppml policy apply NAME...`: signs policies and puts them in force. */
export const command = defineCommand<VaultFlags, string[]>({
  parameters: {
    flags: vaultFlags,
    positional: {
      kind: "array",
      parameter: {
        placeholder: "POLICY",
        brief: "Policies of ppml.yaml (otherwise: all)",
        parse: String,
      },
    },
  },
  description:
    "A policy takes effect only by this command: its file is checked, signed with the owner's key\n" +
    "and given to the broker, which takes a higher version only.",
  async run(context, flags, ...names) {
    using workspace = await openWorkspace(context, flags);
    const wanted = names.length > 0 ? names : Object.keys(workspace.project.config.policies);
    const applied = await withBroker(workspace, async ({ client }) => {
      const done = [];
      for (const name of wanted) done.push(await applyOne(workspace, { client, name }));
      return done;
    });
    return {
      data: { applied },
      human: () =>
        renderFields(
          applied.map(({ name, version, digest, changed }) => [
            name,
            changed
              ? `in force as version ${version}, digest ${digest}`
              : `version ${version} says the same already`,
          ]),
          context.style,
        ),
    };
  },
});

async function applyOne(
  workspace: Workspace,
  options: { readonly client: BrokerClient; readonly name: string },
): Promise<{
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly changed: boolean;
}> {
  const { client, name } = options;
  const file = await loadPolicyFile(workspace.project, name);
  const errors = checkPolicy(file, workspace.vault.mode).filter(
    (finding) => finding.severity === "error",
  );
  if (errors.length > 0)
    throw new PpmlError(
      "release.policy",
      `policy ${name} cannot take effect: ${errors.map(({ path, message }) => `${path}: ${message}`).join("; ")}`,
      { detail: { errors } },
    );
  const inForce = await policyInForce(workspace, options);
  const next = nextPolicy(file, inForce?.policy ?? null);
  if (next === null && inForce !== null)
    return { name, version: inForce.policy.version, digest: inForce.digest, changed: false };
  if (next === null) throw new PpmlError("base.internal", "a first policy has no version");
  const envelope = signObject("policy", next, workspace.owner);
  await client.applyPolicy(envelope);
  return { name, version: next.version, digest: envelopeDigest(envelope), changed: true };
}
