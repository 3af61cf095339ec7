import { equalBytes, PpmlError } from "../base/index.ts";
import { encodeJcs } from "../format/jcs.ts";
import type { KekInfo } from "../key/index.ts";
import { releasePolicyOf } from "./azure/release-policy-of.ts";
import type { Project } from "./config/load.ts";

/**
 * Refuses a KEK of another kind than `azure.keyVault.keks` says. Whoever may make keys in a vault can
 * make one of that name first, exportable under a policy of their own: ARM leaves it as it is, and what
 * is sealed for it is theirs. Of a vault that the section does not describe it says nothing.
 * @throws key.not_permitted
 */
export function requireUse(
  project: Pick<Project, "config">,
  { name, kind }: Pick<KekInfo, "name" | "kind">,
): void {
  const said = saidOf(project, name);
  if (said === null || said.kek.use === kind) return;
  const { vault, kek } = said;
  throw new PpmlError(
    "key.not_permitted",
    `azure.keyVault.keks says that ${name} is ${kek.use}, and the key of that name in ${vault} is ${kind}: nothing is sealed for it. Somebody made it before ppml did, or ppml.yaml was changed: look at it with \`ppml key show ${name}\`, and at who may make keys in ${vault}; then name a new KEK`,
  );
}

/**
 * Refuses an exportable KEK whose release policy is not that of the project: it may be for ever that of
 * whoever made the key.
 * @throws key.not_permitted provision.input release.policy
 */
export async function requireOwnPolicy(
  project: Project,
  { name, releasePolicy }: Pick<KekInfo, "name" | "releasePolicy">,
): Promise<void> {
  const said = saidOf(project, name);
  const policy = said?.kek.policy;
  if (said === null || policy === undefined) return;
  const wanted = await releasePolicyOf(project, { kek: name, policy });
  if (releasePolicy !== null && equalBytes(encodeJcs(releasePolicy), encodeJcs(wanted))) return;
  throw new PpmlError(
    "key.not_permitted",
    `the key ${name} in ${said.vault} has another release policy than the policy ${policy} of ppml.yaml: nothing is sealed for it. Somebody made it before ppml did, or the project's policy has changed since: look at it with \`ppml key show ${name}\`, then put the policy back, or name a new KEK`,
  );
}

/** What the section says of a KEK of the project's vault; null where it does not speak of it. */
function saidOf({ config }: Pick<Project, "config">, name: string) {
  const keyVault = config.azure?.keyVault;
  const { url } = config.vault;
  if (keyVault === undefined || url === undefined) return null;
  const vault = new URL(url).hostname.split(".")[0] ?? "";
  const described = keyVault.name ?? keyVault.existing?.split("/").at(-1) ?? "";
  if (vault !== described.toLowerCase()) return null;
  const kek = Object.hasOwn(keyVault.keks, name) ? keyVault.keks[name] : undefined;
  return kek === undefined ? null : { vault, kek };
}
