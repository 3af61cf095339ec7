import { z } from "zod";
import { RESOURCES } from "../state-kinds.ts";
import { defineKind } from "../state.ts";
import type { TwinState } from "../state.ts";
import { ArmRefusal } from "./refusal.ts";
import { typeSpec } from "./type-table.ts";
import type { Json, QuotaDemand } from "./type-spec.ts";
import { textAt } from "./type-spec.ts";

/** Vcpus of a family in a region, where they are not the table's: id REGION/FAMILY in small letters. */
export const QUOTAS = defineKind("quota", z.strictObject({ limit: z.int().min(0) }));

/** Sizes that a region does not have, or not for this subscription: id REGION/SIZE in small letters. */
export const SKU_RESTRICTIONS = defineKind(
  "sku-restriction",
  z.strictObject({ reason: z.enum(["NotAvailableForSubscription", "QuotaId"]) }),
);

/** What a subscription that asked for it has of each family, and of all of a region. */
const FAMILY_LIMIT = 100;
const REGION_LIMIT = 350;
/** Regions of the double: those where confidential sizes of one kind at least are offered. */
export const REGIONS: readonly string[] = [
  "eastus",
  "eastus2",
  "westus",
  "westus3",
  "centralus",
  "northeurope",
  "westeurope",
  "uksouth",
  "germanywestcentral",
  "switzerlandnorth",
  "southeastasia",
  "japaneast",
];

type Series = {
  readonly pattern: RegExp;
  readonly family: string;
  readonly vcpus: readonly number[];
  readonly name: (vcpus: number) => string;
  readonly regions: readonly string[];
};

const ALL = REGIONS;
const CONFIDENTIAL = [
  "eastus",
  "eastus2",
  "westus3",
  "northeurope",
  "westeurope",
  "uksouth",
  "japaneast",
];
const SGX = ["eastus", "eastus2", "northeurope", "westeurope", "uksouth", "centralus"];

function series(
  letters: string,
  suffix: string,
  rest: { readonly vcpus: readonly number[]; readonly regions: readonly string[] },
): Series {
  const [tail = "", version = ""] = suffix.split("_");
  return {
    ...rest,
    pattern: new RegExp(`^standard_${letters}(\\d+)${tail}_${version}$`, "i"),
    family: `standard${letters}${tail.toUpperCase()}${version}Family`,
    name: (vcpus) => `Standard_${letters}${vcpus}${tail}_${version}`,
  };
}

const SIZES = [2, 4, 8, 16, 32, 48, 64, 96];

/** Sizes by series. Where they are offered is a sample of the double's, not Azure's own list. */
const SERIES: readonly Series[] = [
  ...["as_v5", "ads_v5", "as_v6", "ads_v6", "es_v6", "eds_v6"].flatMap((suffix) => [
    series("DC", suffix, { vcpus: SIZES, regions: CONFIDENTIAL }),
    series("EC", suffix, { vcpus: SIZES, regions: CONFIDENTIAL }),
  ]),
  ...["s_v3", "ds_v3"].map((suffix) =>
    series("DC", suffix, { vcpus: [1, 2, 4, 8, 16, 24, 32, 48], regions: SGX }),
  ),
  ...["s_v5", "ds_v5", "as_v5", "ads_v5", "s_v6", "ds_v6", "as_v6", "ads_v6"].map((suffix) =>
    series("D", suffix, { vcpus: SIZES, regions: ALL }),
  ),
];

type Size = { readonly name: string; readonly family: string; readonly vcpus: number };

/** Every size that a region offers, with its restriction. */
export function sizesOf(
  state: TwinState,
  region: string,
): readonly (Size & { readonly restriction: string | null })[] {
  return SERIES.filter(({ regions }) => regions.includes(region)).flatMap(
    ({ vcpus, name, family }) =>
      vcpus.map((count) => ({
        name: name(count),
        family,
        vcpus: count,
        restriction: restrictionOf(state, region, name(count)),
      })),
  );
}

/** The use and the limits of a region: of each family, and of all together (`cores`). */
export function usagesOf(
  state: TwinState,
  region: string,
): readonly { readonly family: string; readonly current: number; readonly limit: number }[] {
  const used = usedIn(state, region);
  const families = [...new Set(SERIES.map(({ family }) => family))];
  const total = [...used.values()].reduce((sum, count) => sum + count, 0);
  return [
    { family: "cores", current: total, limit: limitOf(state, region, "cores") },
    ...families.map((family) => ({
      family,
      current: used.get(family) ?? 0,
      limit: limitOf(state, region, family),
    })),
  ];
}

/**
 * Refuses what a region does not have, or what goes over a quota.
 * @throws ArmRefusal SkuNotAvailable, QuotaExceeded
 */
export function checkCapacity(
  state: TwinState,
  asked: {
    readonly region: string;
    readonly demands: readonly QuotaDemand[];
    /** The resources' own keys: what they have already is given back. */
    readonly keys: ReadonlySet<string>;
  },
): void {
  const { region, demands, keys } = asked;
  const used = usedIn(state, region, keys);
  let total = [...used.values()].reduce((sum, count) => sum + count, 0);
  for (const { size, count } of demands) {
    const found = findSize(size);
    const isThere = found?.series.regions.includes(region) === true;
    if (found === null || !isThere || restrictionOf(state, region, size) !== null)
      throw new ArmRefusal(409, "SkuNotAvailable", {
        message: `The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: ${size}' is currently not available in location '${region}'. Please try another size or deploy to a different location or different zone. See https://aka.ms/azureskunotavailable for details.`,
      });
    const { family } = found.series;
    const needed = found.vcpus * count;
    for (const [name, current] of [
      [family, used.get(family) ?? 0],
      ["cores", total],
    ] as const) {
      const limit = limitOf(state, region, name);
      if (current + needed > limit)
        throw new ArmRefusal(409, "QuotaExceeded", {
          message: `Operation could not be completed as it results in exceeding approved ${name === "cores" ? "Total Regional Cores" : `${name} Cores`} quota. Additional details - Deployment Model: Resource Manager, Location: ${region}, Current Limit: ${limit}, Current Usage: ${current}, Additional Required: ${needed}, (Minimum) New Limit Required: ${current + needed}. Setup Alerts when Quota reaches threshold.`,
        });
    }
    used.set(family, (used.get(family) ?? 0) + needed);
    total += needed;
  }
}

const NONE: ReadonlySet<string> = new Set();

function usedIn(
  state: TwinState,
  region: string,
  except: ReadonlySet<string> = NONE,
): Map<string, number> {
  const used = new Map<string, number>();
  for (const { id, document } of state.list(RESOURCES)) {
    const demands = typeSpec(document.type)?.quota?.(document.properties) ?? [];
    if (demands.length === 0 || except.has(id) || locationOf(state, document) !== region) continue;
    for (const { size, count } of demands) {
      const found = findSize(size);
      if (found === null) continue;
      const { family } = found.series;
      used.set(family, (used.get(family) ?? 0) + found.vcpus * count);
    }
  }
  return used;
}

/** A pool has its cluster's location. */
function locationOf(state: TwinState, document: Json): string {
  const own = textAt(document, "location");
  if (own !== "") return own;
  const parent = textAt(document, "id").split("/").slice(0, -2).join("/").toLowerCase();
  return textAt({ ...state.get(RESOURCES, parent) }, "location");
}

function findSize(size: string): { readonly series: Series; readonly vcpus: number } | null {
  for (const one of SERIES) {
    const vcpus = Number(one.pattern.exec(size)?.[1] ?? Number.NaN);
    if (one.vcpus.includes(vcpus)) return { series: one, vcpus };
  }
  return null;
}

function limitOf(state: TwinState, region: string, family: string): number {
  const own = state.get(QUOTAS, `${region}/${family}`.toLowerCase());
  return own?.limit ?? (family === "cores" ? REGION_LIMIT : FAMILY_LIMIT);
}

function restrictionOf(state: TwinState, region: string, size: string): string | null {
  return state.get(SKU_RESTRICTIONS, `${region}/${size}`.toLowerCase())?.reason ?? null;
}
