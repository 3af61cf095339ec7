import { lookup } from "node:dns/promises";
import type { AzureConnection } from "../../azure/index.ts";
import { isPpmlError, type PpmlError } from "../../base/index.ts";
import { type ArmTemplate, type AzureSection, vmDemand } from "../../provision/index.ts";
import {
  exists,
  fetchPermissions,
  fetchQuotas,
  fetchSkus,
  fetchSubscription,
  isNameFree,
} from "./azure-facts.ts";
import {
  judgeAzureClock,
  judgeName,
  judgePermissions,
  judgeQuotas,
  judgeRetirements,
  judgeSkus,
} from "./azure-judge.ts";
import { examineRegion } from "./azure-region.ts";
import { fail, type Finding, ok, remedyOf, warn } from "./finding.ts";

/** What doctor looks at. */
export type AzureExamination = {
  readonly section: AzureSection;
  readonly template: ArmTemplate;
  readonly connection: AzureConnection;
  readonly nowMs: number;
};

/** Looks at Azure for what would stop a deployment; nothing is changed there. */
export async function examineAzure(input: AzureExamination): Promise<readonly Finding[]> {
  const { section, connection, nowMs } = input;
  const demand = vmDemand(section);
  const before = [...judgeRetirements(demand, nowMs), ...(await examineDns(section))];
  const login = await examineLogin(connection, section, nowMs);
  if (login.some(({ status }) => status === "fail")) return [...before, ...login];
  const region = await guarded("region", () => examineRegion(input));
  // Sizes, quotas and deleted vaults are asked by region: of one that is none there is nothing to ask.
  if (region.some(({ check, status }) => status === "fail" && check.startsWith("region ")))
    return [...before, ...login, ...region];
  const rest = await Promise.all([
    guarded("permissions", () => examinePermissions(input)),
    guarded("sizes and quotas", async () => {
      const [skus, quotas] = await Promise.all([
        fetchSkus(connection, section),
        fetchQuotas(connection, section),
      ]);
      return [...judgeSkus(demand, skus, section.region), ...judgeQuotas(demand, { skus, quotas })];
    }),
    guarded("names", () => examineNames(connection, section)),
  ]);
  return [...before, ...login, ...region, ...rest.flat()];
}

async function examineLogin(
  connection: AzureConnection,
  section: AzureSection,
  nowMs: number,
): Promise<readonly Finding[]> {
  return await guarded("login", async () => {
    const { isThere, azureMs } = await fetchSubscription(connection, section);
    const clock = judgeAzureClock(nowMs, azureMs);
    if (isThere) return [ok("login", `sees the subscription ${section.subscription}`), clock];
    const remedy =
      "log in to the right tenant: az login --tenant ID, or correct azure.subscription";
    return [fail("login", `does not see the subscription ${section.subscription}`, remedy), clock];
  });
}

async function examinePermissions({
  connection,
  section,
  template,
}: AzureExamination): Promise<readonly Finding[]> {
  const subscription = `/subscriptions/${section.subscription}`;
  const group = `${subscription}/resourceGroups/${section.resourceGroup}`;
  const hasGroup = await exists(connection, group, "2024-11-01");
  const types = new Set(template.resources.map(({ type }) => type));
  const needed = [
    ...(hasGroup ? [] : ["Microsoft.Resources/subscriptions/resourceGroups/write"]),
    "Microsoft.Resources/deploymentStacks/write",
    "Microsoft.Resources/deployments/write",
    "Microsoft.Resources/deployments/whatIf/action",
    ...[...types].map((type) => `${type}/write`),
  ];
  const scope = hasGroup ? group : subscription;
  const permissions = await fetchPermissions(connection, scope);
  return [
    judgePermissions(needed, permissions, hasGroup ? section.resourceGroup : "the subscription"),
  ];
}

async function examineNames(
  connection: AzureConnection,
  section: AzureSection,
): Promise<readonly Finding[]> {
  const { subscription, resourceGroup, keyVault, storage } = section;
  const group = `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers`;
  const findings: Finding[] = [];
  if (keyVault?.name !== undefined)
    findings.push(await examineVaultName(connection, section, keyVault));
  if (storage?.account !== undefined) {
    const { account: name } = storage;
    const type = "Microsoft.Storage/storageAccounts";
    const state = (await exists(connection, `${group}/${type}/${name}`, "2026-04-01"))
      ? "ours"
      : (await isNameFree(connection, section, { type, name }))
        ? "free"
        : "taken";
    findings.push(
      judgeName({ what: "a storage account", name, state, key: "azure.storage.account" }),
    );
  }
  return findings;
}

/** A vault's name, or a Managed HSM's: both are of one kind, and a deleted one keeps its own. */
async function examineVaultName(
  connection: AzureConnection,
  section: AzureSection,
  { name = "", sku, recover }: NonNullable<AzureSection["keyVault"]>,
): Promise<Finding> {
  const { subscription, resourceGroup, region } = section;
  const isHsm = sku === "managedHsm";
  const type = isHsm ? "Microsoft.KeyVault/managedHSMs" : "Microsoft.KeyVault/vaults";
  const noun = isHsm ? "deletedManagedHSMs" : "deletedVaults";
  const own = `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/${type}/${name}`;
  const deleted = `/subscriptions/${subscription}/providers/Microsoft.KeyVault/locations/${region}/${noun}/${name}`;
  const state = (await exists(connection, own, "2026-02-01"))
    ? "ours"
    : (await exists(connection, deleted, "2026-02-01"))
      ? "soft-deleted"
      : (await isNameFree(connection, section, { type, name }))
        ? "free"
        : "taken";
  const what = isHsm ? "Managed HSM" : "vault";
  return state === "soft-deleted" && recover
    ? ok(`name ${name}`, `the deleted ${what} of this name will be brought back`)
    : judgeName({ what: `a ${what}`, name, state, key: "azure.keyVault.name" });
}

/** The names that everything begins with; a proxy resolves them itself. */
async function examineDns({ transport }: AzureSection): Promise<readonly Finding[]> {
  if (transport === "environment")
    return [ok("dns", "not looked at: azure.transport is environment, the proxy resolves names")];
  const hosts = ["login.microsoftonline.com", "management.azure.com"];
  const results = await Promise.allSettled(hosts.map((host) => lookup(host)));
  const missing = hosts.filter((_, index) => results[index]?.status === "rejected");
  if (missing.length === 0) return [ok("dns", `${hosts.join(" and ")} are found`)];
  const remedy =
    "check the network and its DNS; behind a company's proxy set azure.transport: environment";
  return [fail("dns", `not found: ${missing.join(", ")}`, remedy)];
}

/** What cannot be looked at is a finding too: the rest goes on. */
async function guarded(
  check: string,
  look: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const { toAzureFailure } = await import("../../azure/index.ts");
  try {
    return await look();
  } catch (cause) {
    const error = toAzureFailure(cause, { what: `look at ${check}` });
    if (!isPpmlError(error)) throw error;
    // Who may not even read what they may do, may not deploy.
    const isFatal =
      check === "login" ||
      error.code === "azure.login" ||
      (check === "permissions" && error.code === "azure.denied");
    const judge = isFatal ? fail : warn;
    return [judge(check, error.message, remedyOf(error, remedyFor(error)))];
  }
}

function remedyFor({ code }: PpmlError): string {
  if (code === "azure.login") return "log in: az login --tenant ID; in CI, by OIDC";
  if (code === "azure.denied")
    return "ask for Reader on the subscription, or go on without this check";
  if (code === "azure.unreachable") return "check the network, and azure.transport behind a proxy";
  return "try again later";
}
