import assert from "node:assert/strict";
import { test } from "node:test";
import { isPpmlError } from "../../../src/base/index.ts";
import { choosePrice, fetchPrices } from "../../../src/provision/azure/cost/retail-prices.ts";
import { costItems, monthlyCost, parsePriceTable } from "../../../src/provision/index.ts";
import { sectionOf, templateOf, VARIANTS } from "./sections.ts";

const TABLE = {
  kind: "ppml-azure-prices",
  v: 1,
  date: "2026-11-20",
  region: "eastus2",
  currency: "USD",
  source: "a test",
  prices: { "vm/Standard_DC8as_v6": 0.5, "hsm-key": 5 },
};

test("a month is 730 hours of each machine, and what has no price is told, not counted as 0", () => {
  const section = sectionOf();
  const { lines, total, missing } = monthlyCost(
    costItems(section, templateOf(section)),
    parsePriceTable(TABLE),
  );
  const of = (key: string) => lines.find((line) => line.key === key);
  assert.equal(of("vm/Standard_DC8as_v6")?.monthly, 365);
  assert.equal(of("hsm-key")?.monthly, 10);
  assert.equal(of("vm/Standard_DC8as_v5")?.units, 3 * 730);
  assert.equal(of("vm/Standard_DC8as_v5")?.monthly, null);
  assert.equal(total, 375);
  assert.equal(missing, lines.length - 2);
});

const keys = (change: Readonly<Record<string, unknown>> | undefined) => {
  const section = sectionOf(change);
  return costItems(section, templateOf(section)).map(({ key }) => key);
};

test("private endpoints and a Managed HSM are counted where they are made", () => {
  assert.ok(keys(VARIANTS["private"]).includes("private-endpoint"));
  assert.ok(keys(VARIANTS["managedHsm"]).includes("managed-hsm"));
  assert.ok(!keys(VARIANTS["existing"]).includes("nat-gateway"));
});

test("a price table of another form is refused", () => {
  for (const wrong of [null, {}, { ...TABLE, date: "soon" }, { ...TABLE, prices: { a: -1 } }])
    assert.throws(
      () => parsePriceTable(wrong),
      (error) => isPpmlError(error, "provision.input"),
    );
});

const price = (change: object) => ({
  retailPrice: 1,
  unitOfMeasure: "1 Hour",
  meterName: "DC8as v6",
  productName: "DCasv6 Series Linux",
  skuName: "DC8as v6",
  type: "Consumption",
  ...change,
});

test("the price is that of Linux, pay as you go, first tier", () => {
  const found = [
    price({ retailPrice: 0.1, skuName: "DC8as v6 Spot" }),
    price({ retailPrice: 0.2, skuName: "DC8as v6 Low Priority" }),
    price({ retailPrice: 0.3, type: "Reservation" }),
    price({ retailPrice: 0.4, productName: "DCasv6 Series Windows" }),
    price({ retailPrice: 0.05, tierMinimumUnits: 1000 }),
    price({ retailPrice: 0.9 }),
  ];
  assert.equal(choosePrice(found), 0.9);
  assert.equal(choosePrice([]), null);
});

test("prices are asked for by region, and a list that cannot be reached says what to do", async () => {
  const section = sectionOf();
  const items = costItems(section, templateOf(section));
  const urls: string[] = [];
  const http = (answer: (url: string) => string) => ({
    sendRequest: (request: { readonly url: string }) => {
      urls.push(decodeURIComponent(request.url));
      const bodyAsText = answer(request.url);
      return Promise.resolve({ status: 200, bodyAsText, request, headers: new Map() } as never);
    },
  });
  const options = { items, region: "eastus2", nowMs: Date.parse("2026-11-20T10:00:00Z") };
  const table = await fetchPrices(
    http(() => JSON.stringify({ Items: [price({})] })),
    options,
  );
  assert.equal(table.date, "2026-11-20");
  assert.equal(table.prices["vm/Standard_DC8as_v6"], 1);
  assert.ok(urls.every((url) => url.includes("armRegionName eq 'eastus2'")));
  await assert.rejects(
    fetchPrices(
      http(() => "<html>"),
      options,
    ),
    (error) =>
      isPpmlError(error, "azure.unreachable") &&
      /--prices FILE/.test(String(error.detail["remedy"])),
  );
});
