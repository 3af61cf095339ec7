import { decryptTable } from "../../format/parquet/decrypt-table.ts";
import type { MemoryFile } from "./memory-file.ts";
import type { OpenInput } from "./open-inputs.ts";
import type { Place } from "./places.ts";
import type { Opening } from "./plan-task.ts";
import type { OpenedInput } from "./task.ts";
import type { WorkerChannel } from "./worker-channel.ts";

/**
 * Decrypts what is needed of the tables among `places` into their memory files.
 * @throws open.no_key, open.not_authentic, compute.memory
 */
export async function openPages(
  opening: Opening,
  to: { readonly channel: WorkerChannel; readonly places: readonly Place[] },
): Promise<OpenedInput[]> {
  const opened: OpenedInput[] = [];
  for (const { input, files } of to.places)
    if (input.kind === "tables")
      opened.push(await openInput({ channel: to.channel, opening, input, files }));
  return opened;
}

async function openInput(options: {
  readonly channel: WorkerChannel;
  readonly opening: Opening;
  readonly input: Extract<OpenInput, { kind: "tables" }>;
  readonly files: readonly MemoryFile[];
}): Promise<OpenedInput> {
  const { channel, opening, input, files } = options;
  const { name } = input.input;
  const columns = [...(opening.columns.get(name) ?? [])];
  let rowGroups = 0;
  let rowGroupsOpened = 0;
  for (const [at, file] of input.files.entries()) {
    const needed = opening.rowGroups.get(file) ?? [];
    await decryptTable({
      ...file,
      columns,
      rowGroups: needed,
      unauthenticated: "refuse",
      // The engine has no use for page indexes.
      indexes: "bloom",
      write: (bytes) => {
        files[at]?.append(bytes);
      },
    });
    rowGroups += file.footer.rowGroups.length;
    rowGroupsOpened += needed.length;
    await channel.progress({ step: "open", done: at + 1, total: input.files.length });
  }
  const bytesOpened = files.reduce((sum, file) => sum + file.size(), 0);
  return { name, columns, rowGroups, rowGroupsOpened, bytesOpened };
}

/** What is told of an input that no query reads. */
export function unopened(input: OpenInput): readonly OpenedInput[] {
  if (input.kind !== "tables") return [];
  const rowGroups = input.files.reduce((sum, { footer }) => sum + footer.rowGroups.length, 0);
  const { name } = input.input;
  return [{ name, columns: [], rowGroups, rowGroupsOpened: 0, bytesOpened: 0 }];
}
