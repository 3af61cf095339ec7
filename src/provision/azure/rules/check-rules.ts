import { PpmlError } from "../../../base/index.ts";
import { resolvedTemplate, uniqueResources } from "./expressions.ts";
import { noArmRolesInHsm, noUnwrapInHsm } from "./hsm.ts";
import { oneUseOfKeks, strongKeks } from "./keys.ts";
import { narrowRoles, noUnwrapForWorkloads } from "./roles.ts";
import type { Breach, Rule, RuleInput } from "./rule.ts";
import {
  knownAddons,
  noAccountKeys,
  safeServices,
  vaultNames,
  vaultRetention,
} from "./services.ts";

/** Every rule that a template keeps before anything of it goes to Azure. */
export const RULES: readonly Rule[] = [
  noUnwrapForWorkloads,
  noUnwrapInHsm,
  noArmRolesInHsm,
  narrowRoles,
  oneUseOfKeks,
  strongKeks,
  noAccountKeys,
  safeServices,
  knownAddons,
  vaultRetention,
  vaultNames,
  resolvedTemplate,
  uniqueResources,
];

/** The breaches of a template, in the order of the rules. Pure. */
export function checkRules(input: RuleInput): readonly Breach[] {
  return RULES.flatMap(({ name, check }) =>
    check(input).map(({ resource, message }) => ({ rule: name, resource, message })),
  );
}

/**
 * Refuses a template that breaks a rule: the last check before it is planned, applied or exported.
 * @throws provision.rule naming rule, resource and what is wrong
 */
export function demandRules(input: RuleInput): void {
  const breaches = checkRules(input);
  if (breaches.length === 0) return;
  const lines = breaches.map(({ rule, resource, message }) => `${rule}: ${resource}: ${message}`);
  throw new PpmlError("provision.rule", `the template is refused:\n  ${lines.join("\n  ")}`, {
    detail: { breaches },
  });
}
