import { requireAllowed } from "../authorize.ts";
import { REGIONS, sizesOf, usagesOf } from "../capacity.ts";
import { ArmRefusal } from "../refusal.ts";
import { listReply, part, requireVersion, route } from "../route.ts";
import type { ArmRequest, Reply, Route } from "../route.ts";

const SKU_VERSIONS = ["2021-07-01", "2019-04-01", "2017-09-01"];
const USAGE_VERSIONS = ["2026-03-01", "2025-04-01", "2024-11-01", "2024-07-01", "2022-11-01"];

/** What a subscription may still make: sizes of VMs with their restrictions, and quotas with their use. */
export const CAPACITY_ROUTES: readonly Route[] = [
  route("GET", "/subscriptions/:subscription/providers/Microsoft.Compute/skus", skus),
  route(
    "GET",
    "/subscriptions/:subscription/providers/Microsoft.Compute/locations/:location/usages",
    usages,
  ),
];

/** @see Microsoft.Compute resourceSkus 2021-07-01 */
function skus(request: ArmRequest): Reply {
  const { context, principal, query } = request;
  requireVersion(request, SKU_VERSIONS, "Microsoft.Compute/skus");
  const scope = `/subscriptions/${part(request, "subscription")}`;
  requireAllowed(context, principal, { action: "Microsoft.Compute/skus/read", scope });
  const [, wanted] = /location eq '([^']+)'/i.exec(query.get("$filter") ?? "") ?? [];
  const regions = REGIONS.filter(
    (region) => wanted === undefined || region === wanted.toLowerCase(),
  );
  return listReply(
    regions.flatMap((region) =>
      sizesOf(context.state, region).map(({ name, family, vcpus, restriction }) => ({
        resourceType: "virtualMachines",
        name,
        tier: "Standard",
        size: name.replace("Standard_", ""),
        family,
        locations: [region],
        locationInfo: [{ location: region, zones: ["1", "2", "3"], zoneDetails: [] }],
        capabilities: [
          { name: "vCPUs", value: String(vcpus) },
          ...(/^standard[DE]C/.test(family)
            ? [{ name: "ConfidentialComputingType", value: teeOf(name) }]
            : []),
        ],
        restrictions:
          restriction === null
            ? []
            : [
                {
                  type: "Location",
                  values: [region],
                  restrictionInfo: { locations: [region] },
                  reasonCode: restriction,
                },
              ],
      })),
    ),
  );
}

/** @see Microsoft.Compute usages */
function usages(request: ArmRequest): Reply {
  const { context, principal } = request;
  requireVersion(request, USAGE_VERSIONS, "Microsoft.Compute/locations/usages");
  const scope = `/subscriptions/${part(request, "subscription")}`;
  const action = "Microsoft.Compute/locations/usages/read";
  requireAllowed(context, principal, { action, scope });
  const region = part(request, "location").toLowerCase();
  if (!REGIONS.includes(region))
    throw new ArmRefusal(400, "NoRegisteredProviderFound", {
      message: `No registered resource provider found for location '${region}'.`,
    });
  return listReply(
    usagesOf(context.state, region).map(({ family, current, limit }) => ({
      unit: "Count",
      currentValue: current,
      limit,
      name: {
        value: family,
        localizedValue: family === "cores" ? "Total Regional vCPUs" : `${family} vCPUs`,
      },
    })),
  );
}

function teeOf(name: string): string {
  if (/\d+es?d?s?_v6$/.test(name) && /e/.test(name.slice(-6))) return "TDX";
  return name.includes("as_") || name.includes("ads_") ? "SNP" : "SGX";
}
