import { PpmlError } from "../base/index.ts";
import { probeIsolation } from "../compute/sandbox.ts";
import { isolationNotice } from "../compute/work-directory.ts";
import type { Outcome } from "./command.ts";
import type { CliContext } from "./context.ts";
import { simulatedMark } from "./output/style.ts";
import { renderTable } from "./output/table.ts";
import type { OwnerRelease } from "./owner-release.ts";
import { previewRows } from "./preview.ts";

const NUMERIC = /^(?:U?(?:TINY|SMALL|BIG|HUGE)?INT|INTEGER|DOUBLE|FLOAT|DECIMAL)/;

/** Shows the first rows of a released dataset as a table. */
export async function showRows(
  context: CliContext,
  options: { readonly release: OwnerRelease; readonly rows: number },
): Promise<Outcome> {
  const { release } = options;
  const { name, version, files } = release.manifest.payload;
  const notice = isolationNotice(probeIsolation(), process.platform);
  if (notice !== null) context.talk(context.talkStyle.warn(notice));
  const { preview, schema } = await previewRows(release, options.rows);
  if (preview === null) throw new PpmlError("base.internal", "the worker gave no rows");
  const total = files.reduce((sum, file) => sum + (file.kind === "table" ? file.size : 0), 0);
  const { logIndex, mode } = release.grant.grant;
  const simulated = mode === "simulation";
  const of = total > 0 ? ` of ${total.toLocaleString("en-US")}` : "";
  const mark = simulated ? `  ${simulatedMark(context.style)}` : "";
  return {
    data: { dataset: name, version, simulated, logIndex, schema, rows: preview },
    human: () =>
      [
        renderTable({
          columns: schema.map((column) => ({
            title: column.name,
            align: NUMERIC.test(column.type) ? ("right" as const) : ("left" as const),
          })),
          rows: preview.map((row) => row.map((cell) => cell ?? "NULL")),
          style: context.style,
        }).trimEnd(),
        "",
        `${name} v${version}: ${preview.length}${of} rows; opened by the owner, log entry ${logIndex}${mark}`,
        "",
      ].join("\n"),
  };
}
