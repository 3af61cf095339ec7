import { PpmlError } from "../base/index.ts";
import { probeIsolation } from "../compute/sandbox.ts";
import type { QueryResult } from "../compute/sql/task.ts";
import { isolationNotice } from "../compute/work-directory.ts";
import type { Outcome } from "./command.ts";
import type { CliContext } from "./context.ts";
import { tablesOf } from "./dataset-tables.ts";
import type { DatasetTable } from "./dataset-tables.ts";
import { printable } from "./output/printable.ts";
import { simulatedMark } from "./output/style.ts";
import type { Style } from "./output/style.ts";
import { renderTable } from "./output/table.ts";
import type { OwnerRelease } from "./owner-release.ts";
import { previewRows } from "./preview.ts";

const NUMERIC = /^(?:U?(?:TINY|SMALL|BIG|HUGE)?INT|INTEGER|DOUBLE|FLOAT|DECIMAL)/;

/**
 * Shows the first rows of a released dataset, of each of its tables.
 * @param options.rows of a table at most
 * @param options.table name of the only one to show; all where it is undefined
 */
export async function showRows(
  context: CliContext,
  options: {
    readonly release: OwnerRelease;
    readonly rows: number;
    readonly table?: string | undefined;
  },
): Promise<Outcome> {
  const { release } = options;
  const { name, version } = release.manifest.payload;
  const tables = tablesOf(release.manifest.payload, options.table);
  const notice = isolationNotice(probeIsolation(), process.platform);
  if (notice !== null) context.talk(context.talkStyle.warn(notice));
  const results = await previewRows(release, { tables, limit: options.rows });
  const shown = tables.map((table, at) => shownOf(table, results[at]));
  const { logIndex, mode } = release.grant.grant;
  const simulated = mode === "simulation";
  const mark = simulated ? `  ${simulatedMark(context.style)}` : "";
  const end = `opened by the owner, log entry ${logIndex}${mark}\n`;
  const about = { dataset: name, version, simulated, logIndex };
  const [only] = shown;
  if (only?.table === null)
    return {
      data: { ...about, schema: only.schema, rows: only.rows },
      human: () =>
        `${renderRows(only, context.style)}\n\n${name} v${version}: ${countOf(only)}; ${end}`,
    };
  return {
    data: {
      ...about,
      tables: shown.map(({ table, schema, rows }) => ({ name: table, schema, rows })),
    },
    human: () => {
      const parts = shown.map(
        (one) =>
          `${context.style.bold(printable(one.table ?? ""))}: ${countOf(one)}\n${renderRows(one, context.style)}\n\n`,
      );
      return `${parts.join("")}${name} v${version}: ${shown.length} tables; ${end}`;
    },
  };
}

type Shown = Pick<QueryResult, "schema"> & {
  readonly table: string | null;
  readonly rows: NonNullable<QueryResult["preview"]>;
  /** Rows of the whole table; 0 where they are not known. */
  readonly total: number;
};

function shownOf({ name, files }: DatasetTable, result: QueryResult | undefined): Shown {
  if (result === undefined || result.preview === null)
    throw new PpmlError("base.internal", "the worker gave no rows");
  const total = files.reduce((sum, file) => sum + (file.kind === "table" ? file.size : 0), 0);
  return { table: name, schema: result.schema, rows: result.preview, total };
}

function countOf({ rows, total }: Shown): string {
  return `${rows.length}${total > 0 ? ` of ${total.toLocaleString("en-US")}` : ""} rows`;
}

function renderRows({ schema, rows }: Shown, style: Style): string {
  return renderTable({
    columns: schema.map((column) => ({
      title: column.name,
      align: NUMERIC.test(column.type) ? ("right" as const) : ("left" as const),
    })),
    rows: rows.map((row) => row.map((cell) => cell ?? "NULL")),
    style,
  }).trimEnd();
}
