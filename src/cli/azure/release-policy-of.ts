import { PpmlError } from "../../base/index.ts";
import type { SkrPolicy } from "../../format/skr/skr-policy.ts";
import type { Project } from "../config/load.ts";
import { loadPolicyFile } from "../policy-file.ts";

/**
 * The release policy that an exportable KEK in Azure gets: what the project's policy of that name says
 * of authorities that Key Vault knows.
 * @throws provision.input release.policy
 */
export async function releasePolicyOf(
  project: Project,
  { kek, policy }: { readonly kek: string; readonly policy: string },
): Promise<SkrPolicy> {
  const { release } = await loadPolicyFile(project, policy);
  if (release === null)
    throw new PpmlError(
      "provision.input",
      `the policy ${policy} releases nothing to a TEE (release: null), so KEK ${kek} cannot have it`,
    );
  // Key Vault knows issuers by their URL; ppml's own issuer means nothing to it.
  const anyOf = release.anyOf.filter(({ authority }) => authority.startsWith("https://"));
  if (anyOf.length === 0)
    throw new PpmlError(
      "provision.input",
      `the policy ${policy} names no provider of Azure Attestation in release.anyOf, so Azure could never release KEK ${kek}: add one with its URL as authority`,
    );
  return { ...release, anyOf };
}
