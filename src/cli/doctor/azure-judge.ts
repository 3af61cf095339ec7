import type { VmDemand } from "../../provision/index.ts";
import { VM_SIZES_DATE, vmSizeOf } from "../../provision/index.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

// Pure: what Azure says comes in, a finding goes out.

/** A size as the region offers it to the subscription. */
export type SkuFacts = {
  readonly name: string;
  /** The family that quotas count. */
  readonly family: string;
  readonly vcpus: number;
  /** Why it may not be used, such as NotAvailableForSubscription; empty where it may. */
  readonly restrictions: readonly string[];
};

/** What a family of sizes has used of its quota, in vCPUs. */
export type QuotaFacts = { readonly family: string; readonly used: number; readonly limit: number };

/** What a login may do: patterns of actions, less those that are taken away. */
export type PermissionFacts = {
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
};

/** Whether each size is offered in the region. */
export function judgeSkus(
  demand: readonly VmDemand[],
  skus: readonly SkuFacts[],
  region: string,
): readonly Finding[] {
  return demand.map(({ size, what }) => {
    const check = `size ${size}`;
    const found = skus.find(({ name }) => name.toLowerCase() === size.toLowerCase());
    const others = skus.filter(
      ({ name, restrictions }) => restrictions.length === 0 && teeOf(name) === teeOf(size),
    );
    const instead =
      others.length === 0
        ? "choose another azure.region"
        : `choose another azure.region, or a size that is there: ${others
            .slice(0, 4)
            .map(({ name }) => name)
            .join(", ")}`;
    if (found === undefined) return fail(check, `${region} does not have it (${what})`, instead);
    return found.restrictions.length > 0
      ? fail(
          check,
          `${region} has it, but not for this subscription: ${found.restrictions.join(", ")}`,
          `ask Azure's support to lift it, or ${instead}`,
        )
      : ok(check, `${region} has it (${what})`);
  });
}

/** Whether the quota of each family is enough for what is not there yet. */
export function judgeQuotas(
  demand: readonly VmDemand[],
  facts: { readonly skus: readonly SkuFacts[]; readonly quotas: readonly QuotaFacts[] },
): readonly Finding[] {
  const needed = new Map<string, number>();
  for (const { size, count } of demand) {
    const sku = facts.skus.find(({ name }) => name.toLowerCase() === size.toLowerCase());
    if (sku === undefined) continue; // judgeSkus tells
    needed.set(sku.family, (needed.get(sku.family) ?? 0) + count * sku.vcpus);
  }
  return [...needed].map(([family, vcpus]) => {
    const check = `quota ${family}`;
    const quota = facts.quotas.find((one) => one.family.toLowerCase() === family.toLowerCase());
    if (quota === undefined)
      return warn(check, "Azure does not tell it", "look at Quotas in the Azure portal");
    const free = quota.limit - quota.used;
    const found = `${vcpus} vCPUs needed, ${free} of ${quota.limit} free`;
    return free >= vcpus
      ? ok(check, found)
      : fail(
          check,
          found,
          "ask for more (Azure portal, Quotas), or take fewer or smaller machines; what is deployed already counts as used",
        );
  });
}

/** Sizes that Azure takes away, by the table's dates. */
export function judgeRetirements(demand: readonly VmDemand[], nowMs: number): readonly Finding[] {
  const today = new Date(nowMs).toISOString().slice(0, 10);
  const sizes = new Set(demand.map(({ size }) => size));
  return [...sizes].flatMap((name) => {
    const size = vmSizeOf(name);
    const check = `retirement ${name}`;
    if (size?.retiresOn === undefined) return [];
    const closed =
      size.closesOn !== undefined && size.closesOn <= today
        ? `, closed to new subscriptions since ${size.closesOn}`
        : "";
    const remedy = "plan a move to SEV-SNP or TDX: profile snp or tdx";
    const found = `Azure retires it on ${size.retiresOn}${closed} (table of ${VM_SIZES_DATE})`;
    return [size.retiresOn <= today ? fail(check, found, remedy) : warn(check, found, remedy)];
  });
}

/** Whether the login may do what a deployment needs. */
export function judgePermissions(
  needed: readonly string[],
  permissions: readonly PermissionFacts[],
  scope: string,
): Finding {
  const missing = needed.filter((action) => !permissions.some((one) => allows(one, action)));
  if (missing.length === 0)
    return ok("permissions", `all ${needed.length} that are needed, on ${scope}`);
  const roles = missing.some((action) => /authorization/i.test(action))
    ? "Contributor and Role Based Access Control Administrator"
    : "Contributor";
  const shown = missing.slice(0, 6).join(", ");
  return fail(
    "permissions",
    `missing on ${scope}: ${shown}${missing.length > 6 ? ` and ${missing.length - 6} more` : ""}`,
    `ask for ${roles} on ${scope}`,
  );
}

/** Whether the machine's clock is Azure's: tokens and signatures have times. */
export function judgeAzureClock(localMs: number, azureMs: number | null): Finding {
  if (azureMs === null) return warn("azure clock", "Azure does not tell its own", "check NTP");
  const seconds = Math.round((localMs - azureMs) / 1000);
  const found = `${Math.abs(seconds)} s ${seconds < 0 ? "behind" : "ahead of"} Azure's`;
  if (Math.abs(seconds) <= 60) return ok("azure clock", "within a minute of Azure's");
  const remedy = "set the clock (NTP): tokens would be refused as expired or not valid yet";
  return Math.abs(seconds) <= 300
    ? warn("azure clock", found, remedy)
    : fail("azure clock", found, remedy);
}

/** Whether a global name can still be taken. */
export function judgeName(facts: {
  readonly what: string;
  readonly name: string;
  readonly state: "ours" | "free" | "taken" | "soft-deleted";
  readonly key: string;
}): Finding {
  const { what, name, state, key } = facts;
  const check = `name ${name}`;
  switch (state) {
    case "ours":
      return ok(check, `${what} is there already, in the group`);
    case "free":
      return ok(check, `is free for ${what}`);
    case "taken":
      return fail(check, `${what} of this name is somebody else's`, `choose another ${key}`);
    case "soft-deleted":
      break;
  }
  return fail(
    check,
    `${what} of this name was deleted and can still be recovered`,
    "set azure.keyVault.recover: true to bring it back, or choose another name",
  );
}

/** A wildcard of Azure's RBAC: `*` stands for any characters. */
function allows({ actions, notActions }: PermissionFacts, action: string): boolean {
  return (
    actions.some((one) => matches(one, action)) && !notActions.some((one) => matches(one, action))
  );
}

function matches(pattern: string, action: string): boolean {
  const escaped = pattern
    .split("*")
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*");
  return new RegExp(`^${escaped}$`, "i").test(action);
}

function teeOf(name: string): string {
  return vmSizeOf(name)?.tee ?? "none";
}
