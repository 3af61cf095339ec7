import { z } from "zod";
import { parseWith } from "../../../format/schema.ts";
import type { CostItem } from "./demand.ts";

const priceTableSchema = z.strictObject({
  kind: z.literal("ppml-azure-prices"),
  v: z.literal(1),
  /** The day that the prices are of. */
  date: z.iso.date(),
  region: z.string().max(40),
  /** ISO 4217. */
  currency: z.string().regex(/^[A-Z]{3}$/),
  /** Where they are from. */
  source: z.string().max(300),
  /** Price of a unit (hour or month) by the item's key; what is missing is told as such. */
  prices: z.record(z.string().max(100), z.number().min(0).max(1_000_000)),
});

/** A price table with its date, as it is saved. */
export type PriceTable = z.infer<typeof priceTableSchema>;

/** Parses a price table's file. @throws provision.input */
export function parsePriceTable(value: unknown): PriceTable {
  return parseWith(priceTableSchema, value, { what: "the price table", code: "provision.input" });
}

/** What one item costs a month; null where the table has no price for it. */
export type CostLine = {
  readonly key: string;
  readonly what: string;
  readonly units: number;
  readonly unit: CostItem["unit"];
  readonly unitPrice: number | null;
  readonly monthly: number | null;
};

/** What a month costs by a table: each item, and the sum of those that have a price. Pure. */
export function monthlyCost(
  items: readonly CostItem[],
  table: PriceTable,
): { readonly lines: readonly CostLine[]; readonly total: number; readonly missing: number } {
  const lines = items.map(({ key, what, units, unit }): CostLine => {
    const unitPrice = Object.hasOwn(table.prices, key) ? (table.prices[key] ?? null) : null;
    const monthly = unitPrice === null ? null : Math.round(unitPrice * units * 100) / 100;
    return { key, what, units, unit, unitPrice, monthly };
  });
  const total = lines.reduce((sum, { monthly }) => sum + (monthly ?? 0), 0);
  return {
    lines,
    total: Math.round(total * 100) / 100,
    missing: lines.filter(({ monthly }) => monthly === null).length,
  };
}
