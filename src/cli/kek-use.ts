import { PpmlError } from "../base/index.ts";
import type { KekInfo } from "../key/index.ts";
import type { Project } from "./config/load.ts";

/**
 * Refuses a KEK of another kind than `azure.keyVault.keks` says. Whoever may make keys in a vault can
 * make one of that name first, exportable under a policy of their own: ARM leaves it as it is, and what
 * is sealed for it is theirs. Of a vault that the section does not describe it says nothing.
 * @throws key.not_permitted
 */
export function requireUse(
  { config }: Pick<Project, "config">,
  { name, kind }: Pick<KekInfo, "name" | "kind">,
): void {
  const keyVault = config.azure?.keyVault;
  const { url } = config.vault;
  if (keyVault === undefined || url === undefined) return;
  const vault = new URL(url).hostname.split(".")[0] ?? "";
  const described = keyVault.name ?? keyVault.existing?.split("/").at(-1) ?? "";
  if (vault !== described.toLowerCase()) return;
  const use = Object.hasOwn(keyVault.keks, name) ? keyVault.keks[name]?.use : undefined;
  if (use === undefined || use === kind) return;
  throw new PpmlError(
    "key.not_permitted",
    `azure.keyVault.keks says that ${name} is ${use}, and the key of that name in ${vault} is ${kind}: nothing is sealed for it. Somebody made it before ppml did, or ppml.yaml was changed: look at it with \`ppml key show ${name}\`, and at who may make keys in ${vault}; then name a new KEK`,
  );
}
