import { z } from "zod";
import { armList, armRequest, type AzureConnection } from "../../azure/index.ts";
import type { AzureSection } from "../../provision/index.ts";
import type { PermissionFacts, QuotaFacts, SkuFacts } from "./azure-judge.ts";

// What doctor asks of Azure: reading only. Azure adds members at any time: they are passed over.

const capability = z.object({ name: z.string(), value: z.string() });
const skuSchema = z.object({
  name: z.string(),
  resourceType: z.string(),
  family: z.string().optional(),
  capabilities: z.array(capability).optional(),
  restrictions: z.array(z.object({ type: z.string(), reasonCode: z.string() })).optional(),
});
const usageSchema = z.object({
  name: z.object({ value: z.string() }),
  currentValue: z.number(),
  limit: z.number(),
});
const permissionSchema = z.object({
  actions: z.array(z.string()),
  notActions: z.array(z.string()).optional(),
});

/** The VM sizes that the region offers the subscription. */
export async function fetchSkus(
  connection: AzureConnection,
  { subscription, region }: AzureSection,
): Promise<readonly SkuFacts[]> {
  const filter = encodeURIComponent(`location eq '${region}'`);
  const list = await armList(connection, {
    path: `/subscriptions/${subscription}/providers/Microsoft.Compute/skus?$filter=${filter}`,
    apiVersion: "2021-07-01",
  });
  return list.flatMap((one) => {
    const parsed = skuSchema.safeParse(one);
    if (!parsed.success || parsed.data.resourceType !== "virtualMachines") return [];
    const { name, family = "", capabilities = [], restrictions = [] } = parsed.data;
    const vcpus = Number(capabilities.find((cap) => cap.name === "vCPUs")?.value ?? 0);
    // A restriction of single zones leaves the region usable.
    const whole = restrictions.filter(({ type }) => type === "Location");
    return [{ name, family, vcpus, restrictions: whole.map(({ reasonCode }) => reasonCode) }];
  });
}

/** The quotas of vCPUs in the region. */
export async function fetchQuotas(
  connection: AzureConnection,
  { subscription, region }: AzureSection,
): Promise<readonly QuotaFacts[]> {
  const list = await armList(connection, {
    path: `/subscriptions/${subscription}/providers/Microsoft.Compute/locations/${region}/usages`,
    apiVersion: "2024-07-01",
  });
  return list.flatMap((one) => {
    const parsed = usageSchema.safeParse(one);
    if (!parsed.success) return [];
    const { name, currentValue, limit } = parsed.data;
    return [{ family: name.value, used: currentValue, limit }];
  });
}

/** What the login may do on the group, or on the subscription where the group is not there. */
export async function fetchPermissions(
  connection: AzureConnection,
  scope: string,
): Promise<readonly PermissionFacts[]> {
  const list = await armList(connection, {
    path: `${scope}/providers/Microsoft.Authorization/permissions`,
    apiVersion: "2022-04-01",
  });
  return list.flatMap((one) => {
    const parsed = permissionSchema.safeParse(one);
    if (!parsed.success) return [];
    return [{ actions: parsed.data.actions, notActions: parsed.data.notActions ?? [] }];
  });
}

/** Whether the subscription is there for the login, and Azure's clock. */
export async function fetchSubscription(
  connection: AzureConnection,
  { subscription }: AzureSection,
): Promise<{ readonly isThere: boolean; readonly azureMs: number | null }> {
  const { status, dateMs } = await armRequest(connection, {
    method: "GET",
    path: `/subscriptions/${subscription}`,
    apiVersion: "2022-12-01",
  });
  return { isThere: status !== 404, azureMs: dateMs };
}

/** Whether a resource exists. */
export async function exists(
  connection: AzureConnection,
  id: string,
  apiVersion: string,
): Promise<boolean> {
  const { status } = await armRequest(connection, { method: "GET", path: id, apiVersion });
  return status !== 404;
}

/** Whether a global name is free: of a vault, a Managed HSM or a storage account. */
export async function isNameFree(
  connection: AzureConnection,
  { subscription }: AzureSection,
  { type, name }: { readonly type: keyof typeof NAME_CHECKS; readonly name: string },
): Promise<boolean> {
  const { path, apiVersion } = NAME_CHECKS[type];
  const { body } = await armRequest(connection, {
    method: "POST",
    path: `/subscriptions/${subscription}/providers/${path}`,
    apiVersion,
    body: type === "Microsoft.KeyVault/managedHSMs" ? { name } : { name, type },
  });
  return z.object({ nameAvailable: z.boolean() }).safeParse(body).data?.nameAvailable ?? false;
}

/** @see the operations CheckNameAvailability and CheckMhsmNameAvailability of each provider */
const NAME_CHECKS = {
  "Microsoft.KeyVault/vaults": {
    path: "Microsoft.KeyVault/checkNameAvailability",
    apiVersion: "2026-02-01",
  },
  "Microsoft.KeyVault/managedHSMs": {
    path: "Microsoft.KeyVault/checkMhsmNameAvailability",
    apiVersion: "2026-02-01",
  },
  "Microsoft.Storage/storageAccounts": {
    path: "Microsoft.Storage/checkNameAvailability",
    apiVersion: "2026-04-01",
  },
} as const;
