import type { ArmTemplate } from "../arm/resource.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { vmDemand } from "../vm-demand.ts";

/** Hours of a month as Azure's own calculator counts them. */
export const MONTH_HOURS = 730;

/** A thing that is paid for by the month or hour. What is paid by use (data, calls, logs) is not here. */
export type CostItem = {
  /** What it is called in a price table, such as `vm/Standard_DC8as_v6`. */
  readonly key: string;
  readonly what: string;
  /** How many units a month: hours, or pieces. */
  readonly units: number;
  readonly unit: "hour" | "month";
  /** How Azure's Retail Prices API finds its price. */
  readonly query: PriceQuery;
};

/** A search in the Retail Prices API: members of a price that must be equal. */
export type PriceQuery = {
  readonly serviceName: string;
  readonly armSkuName?: string;
  readonly meterName?: string;
  readonly skuName?: string;
};

/** What a section's resources cost by time alone. Pure. */
export function costItems(section: AzureSection, template: ArmTemplate): readonly CostItem[] {
  const count = (type: string) => template.resources.filter((one) => one.type === type).length;
  const machines = vmDemand(section).map(({ size, count: number, what }): CostItem => ({
    key: `vm/${size}`,
    what: `${number} ${what} ${size}`,
    units: hours(number),
    unit: "hour",
    query: { serviceName: "Virtual Machines", armSkuName: size },
  }));
  const single: readonly (readonly [number, Omit<CostItem, "units">])[] = [
    [hours(count("Microsoft.Network/natGateways")), NAT],
    [hours(count("Microsoft.Network/publicIPAddresses")), ADDRESS],
    [hours(count("Microsoft.Network/privateEndpoints")), ENDPOINT],
    [hours(section.aks?.tier === "standard" ? count(AKS) : 0), AKS_STANDARD],
    [count("Microsoft.KeyVault/vaults/keys"), HSM_KEY],
    [hours(count("Microsoft.KeyVault/managedHSMs")), MANAGED_HSM],
  ];
  return [
    ...machines,
    ...single.flatMap(([units, item]) => (units === 0 ? [] : [{ ...item, units }])),
  ];
}

function hours(number: number): number {
  return number * MONTH_HOURS;
}

const AKS = "Microsoft.ContainerService/managedClusters";

const NAT: Omit<CostItem, "units"> = {
  key: "nat-gateway",
  what: "NAT gateway",
  unit: "hour",
  query: { serviceName: "NAT Gateway", meterName: "Standard Gateway" },
};
const ADDRESS: Omit<CostItem, "units"> = {
  key: "public-ip",
  what: "public addresses",
  unit: "hour",
  query: { serviceName: "Virtual Network", meterName: "Standard IPv4 Static Public IP" },
};
const ENDPOINT: Omit<CostItem, "units"> = {
  key: "private-endpoint",
  what: "private endpoints",
  unit: "hour",
  query: { serviceName: "Virtual Network", meterName: "Standard Private Endpoint" },
};
const AKS_STANDARD: Omit<CostItem, "units"> = {
  key: "aks-standard",
  what: "AKS, tier standard",
  unit: "hour",
  query: { serviceName: "Azure Kubernetes Service", meterName: "Standard Uptime SLA" },
};
const HSM_KEY: Omit<CostItem, "units"> = {
  key: "hsm-key",
  what: "HSM keys in Key Vault",
  unit: "month",
  query: { serviceName: "Key Vault", meterName: "Premium HSM-protected Advanced Key" },
};
const MANAGED_HSM: Omit<CostItem, "units"> = {
  key: "managed-hsm",
  what: "Managed HSM",
  unit: "hour",
  query: { serviceName: "Key Vault", meterName: "Standard B1 Instance" },
};
