import {
  createHttpHeaders,
  createPipelineRequest,
  type HttpClient,
} from "@azure/core-rest-pipeline";
import { z } from "zod";
import { PpmlError } from "../../../base/index.ts";
import type { CostItem, PriceQuery } from "./demand.ts";
import type { PriceTable } from "./price-table.ts";

/** Azure's public list of prices: no login. */
const API = "https://prices.azure.com/api/retail/prices";
const TIMEOUT_MS = 20_000;

const answerSchema = z.object({
  Items: z.array(
    z.object({
      retailPrice: z.number(),
      unitOfMeasure: z.string(),
      meterName: z.string(),
      productName: z.string(),
      skuName: z.string(),
      type: z.string(),
      tierMinimumUnits: z.number().optional(),
    }),
  ),
});
type Price = z.infer<typeof answerSchema>["Items"][number];

/**
 * Fetches the price of each item of a region, in USD.
 * @throws azure.unreachable where the list cannot be reached
 * @see learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
 */
export async function fetchPrices(
  http: HttpClient,
  options: { readonly items: readonly CostItem[]; readonly region: string; readonly nowMs: number },
): Promise<PriceTable> {
  const { items, region, nowMs } = options;
  const keys = new Map(items.map(({ key, query }) => [key, query]));
  const prices: Record<string, number> = {};
  for (const [key, query] of keys) {
    const found = choosePrice(await ask(http, filterOf(query, region)));
    if (found !== null) prices[key] = found;
  }
  return {
    kind: "ppml-azure-prices",
    v: 1,
    date: new Date(nowMs).toISOString().slice(0, 10),
    region,
    currency: "USD",
    source: API,
    prices,
  };
}

/** Linux, pay as you go, the first tier: no Windows, no spot, no reservation. Null where none is. */
export function choosePrice(found: readonly Price[]): number | null {
  const fitting = found
    .filter(({ type }) => type === "Consumption")
    .filter(({ productName }) => !productName.includes("Windows"))
    .filter(({ skuName }) => !/\b(?:Spot|Low Priority)\b/.test(skuName))
    .filter(({ tierMinimumUnits = 0 }) => tierMinimumUnits === 0)
    .map(({ retailPrice }) => retailPrice)
    .filter((price) => price > 0);
  return fitting.length === 0 ? null : Math.min(...fitting);
}

function filterOf(query: PriceQuery, region: string): string {
  const members = Object.entries({ ...query, armRegionName: region, priceType: "Consumption" });
  return members
    .map(([name, value]) => `${name} eq '${value.replaceAll("'", "''")}'`)
    .join(" and ");
}

async function ask(http: HttpClient, filter: string): Promise<readonly Price[]> {
  const url = `${API}?$filter=${encodeURIComponent(filter)}`;
  const remedy = "give a price table of your own with --prices FILE: docs/azure.md has its form";
  try {
    const request = createPipelineRequest({
      url,
      method: "GET",
      timeout: TIMEOUT_MS,
      headers: createHttpHeaders({ accept: "application/json" }),
    });
    const response = await http.sendRequest(request);
    const parsed = answerSchema.safeParse(JSON.parse(response.bodyAsText ?? "null"));
    if (response.status === 200 && parsed.success) return parsed.data.Items;
    throw new PpmlError("azure.failed", `Azure's price list answers ${response.status}`, {
      detail: { remedy },
    });
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    throw new PpmlError("azure.unreachable", `Azure's price list cannot be reached (${API})`, {
      cause,
      detail: { remedy },
    });
  }
}
