import { isPpmlError } from "../base/index.ts";
import { verifyObject } from "../format/signed-object.ts";
import type { BrokerClient } from "../launch/index.ts";
import { policySchema } from "../release/index.ts";
import type { Policy } from "../release/index.ts";
import type { Workspace } from "./workspace.ts";

/** The policy that the broker has in force, as the owner signed it; null where there is none. */
export async function policyInForce(
  workspace: Workspace,
  options: { readonly client: BrokerClient; readonly name: string },
): Promise<{ readonly policy: Policy; readonly digest: string } | null> {
  try {
    const { object } = await options.client.policy(options.name);
    const { payload, digest } = verifyObject({
      kind: "policy",
      schema: policySchema,
      envelope: object,
      signers: [workspace.owner.publicJwk],
    });
    return { policy: payload, digest };
  } catch (error) {
    if (isPpmlError(error, "release.policy")) return null;
    throw error;
  }
}
