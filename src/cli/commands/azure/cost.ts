import { resolve } from "node:path";
import { readBoundedFile } from "../../../base/index.ts";
import { parseJson } from "../../../format/jcs.ts";
import { costItems, monthlyCost, parsePriceTable } from "../../../provision/index.ts";
import { loadAzureProject } from "../../azure/azure-project.ts";
import { defineCommand, projectFlags, type ProjectFlags } from "../../command.ts";
import { renderTable } from "../../output/table.ts";
import { writeJson } from "../../write-json.ts";

type Flags = ProjectFlags & { readonly prices?: string; readonly save?: string };

const MAX_TABLE_BYTES = 1024 * 1024;

/** `ppml azure cost`: what a month costs by time, by a price table with its date. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...projectFlags,
      prices: {
        kind: "parsed",
        parse: String,
        brief: "Take this price table (otherwise: Azure's public price list of today)",
        placeholder: "FILE",
        optional: true,
      },
      save: {
        kind: "parsed",
        parse: String,
        brief: "Save the price table that was used",
        placeholder: "FILE",
        optional: true,
      },
    },
  },
  description:
    "Pay as you go, Linux, 730 hours. What is paid by use is not in it: stored data, traffic, calls,\n" +
    "logs, disks. An item without a price is told as such, not as 0.",
  async run(context, flags) {
    const place = { cwd: context.cwd, folder: flags.project };
    const { section, template } = await loadAzureProject(place);
    const items = costItems(section, template);
    const table =
      flags.prices === undefined
        ? await fetchTable()
        : parsePriceTable(parseJson(await readTable(resolve(context.cwd, flags.prices))));
    if (flags.save !== undefined)
      await writeJson(resolve(context.cwd, flags.save), table, { mode: "replace" });
    const { lines, total, missing } = monthlyCost(items, table);
    const { currency, date, source, region } = table;
    return {
      data: { currency, date, source, region, lines, total, missing },
      human: () =>
        renderTable({
          columns: [
            { title: "WHAT" },
            { title: "UNITS", align: "right" },
            { title: `${currency} A UNIT`, align: "right" },
            { title: `${currency} A MONTH`, align: "right" },
          ],
          rows: lines.map(({ what, units, unit, unitPrice, monthly }) => [
            what,
            `${units} ${unit}${units === 1 ? "" : "s"}`,
            unitPrice === null ? "" : String(unitPrice),
            monthly === null ? "no price" : monthly.toFixed(2),
          ]),
          style: context.style,
        }) +
        `\n${context.style.bold(`${total.toFixed(2)} ${currency} a month`)}, by ${source}, ${region}, of ${date}` +
        `${missing === 0 ? "" : `; ${missing} without a price`}\n`,
    };

    async function fetchTable() {
      const [{ azureHttpClient }, { fetchPrices }] = await Promise.all([
        import("../../../azure/index.ts"),
        import("../../../provision/azure/cost/retail-prices.ts"),
      ]);
      using _ = context.progress({ label: "Asking for prices" });
      const http = azureHttpClient(section.transport);
      return await fetchPrices(http, { items, region: section.region, nowMs: context.clock() });
    }
  },
});

function readTable(path: string): Promise<Uint8Array> {
  return readBoundedFile(path, {
    what: `the price table ${path}`,
    maxBytes: MAX_TABLE_BYTES,
    code: "provision.input",
  });
}
