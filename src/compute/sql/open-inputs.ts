import { isPpmlError, PpmlError } from "../../base/index.ts";
import type { DecryptTableOptions, TableFooter } from "../../format/parquet/index.ts";
// Not from the stage's index: the worker has no use for grants, and loads faster without them.
import { openTable } from "../../open/open-table.ts";
import { KEY_OF } from "./frames.ts";
import { sourceOf } from "./input-source.ts";
import type { InputOpening } from "./input-source.ts";
import type { MemoryFile } from "./memory-file.ts";
import type { WorkerInput, WorkerTask } from "./task.ts";
import type { WorkerChannel } from "./worker-channel.ts";

/** A sealed table of an input: its footer is open, its pages are not. */
export type OpenTableFile = {
  readonly source: DecryptTableOptions["source"];
  readonly footer: TableFooter;
};

/** An input with its keys: tables wait for the plan, other files are opened whole. */
export type OpenInput =
  | {
      readonly kind: "tables";
      readonly input: WorkerInput;
      readonly files: readonly OpenTableFile[];
    }
  | { readonly kind: "files"; readonly input: WorkerInput; readonly files: readonly MemoryFile[] };

/** Which function of the engine reads a sealed file, by its name's ending. */
const READERS: readonly (readonly [ending: RegExp, reader: string])[] = [
  [/\.(?:csv|tsv)$/i, "read_csv"],
  [/\.(?:json|jsonl|ndjson)$/i, "read_json"],
  [/\.parquet$/i, "read_parquet"],
];

/** The engine's reader of a sealed file. @throws compute.sql for an ending that it cannot read */
export function readerOf(name: string): string {
  const reader = READERS.find(([ending]) => ending.test(name))?.[1];
  if (reader === undefined)
    throw new PpmlError(
      "compute.sql",
      `the sql engine cannot read ${name}: it reads .parquet, .csv, .tsv, .json, .jsonl and .ndjson`,
    );
  return reader;
}

/** Asks for the keys of every input and opens what can be opened before the query is planned. */
export async function openInputs(
  task: WorkerTask,
  channel: WorkerChannel,
  stack: DisposableStack,
): Promise<OpenInput[]> {
  const opened: OpenInput[] = [];
  for (const [index, input] of task.inputs.entries()) {
    const kinds = new Set(input.files.map((file) => file.kind));
    if (kinds.size !== 1)
      throw new PpmlError(
        "compute.sql",
        `${input.name} holds tables and files: make a dataset of each`,
      );
    const open = { task, channel, stack, input, index };
    opened.push(kinds.has("table") ? await openTables(open) : await openWhole(open));
  }
  return opened;
}

/** Loads what opens sealed files where an input has some. */
async function openWhole(opening: InputOpening): Promise<OpenInput> {
  const { openFiles } = await import("./open-files.ts");
  return { kind: "files", input: opening.input, files: await openFiles(opening) };
}

async function openTables(opening: InputOpening): Promise<OpenInput> {
  const { channel, input } = opening;
  const files: OpenTableFile[] = [];
  for (const [file, expected] of input.files.entries()) {
    const source = sourceOf(opening, { file, size: expected.length });
    const footer = await openTable({
      source,
      expected,
      keyFor: (material, place) => {
        if (place === "footer") return channel.key(KEY_OF.table, material);
        if (!isListed(place.column, input.columns)) return Promise.resolve(null);
        return channel.key(KEY_OF.table, material).catch(closedWithoutKey);
      },
    });
    files.push({ source, footer });
  }
  checkOneSchema(input, files);
  return { kind: "tables", input, files };
}

/** A column without a released key stays closed; the query fails only where it needs it. */
function closedWithoutKey(error: unknown): null {
  if (isPpmlError(error, "open.no_key")) return null;
  throw error;
}

/** Whether the job lists the top-level column of a leaf. */
function isListed(leaf: string, columns: readonly string[] | null): boolean {
  return columns === null || columns.some((name) => leaf === name || leaf.startsWith(`${name}.`));
}

function checkOneSchema(input: WorkerInput, files: readonly OpenTableFile[]): void {
  const shapes = files.map(({ footer }) =>
    JSON.stringify(
      footer.columns.map(({ leaf }) => [leaf.dotted, leaf.physicalType, leaf.logicalType]),
    ),
  );
  if (shapes.some((shape) => shape !== shapes[0]))
    throw new PpmlError("compute.sql", `the tables of ${input.name} have different columns`);
}
