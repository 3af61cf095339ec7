import type { TableSource } from "../../format/parquet/source-window.ts";
import { descriptorSource } from "./read-descriptor.ts";
import type { WorkerInput, WorkerTask } from "./task.ts";
import type { WorkerChannel } from "./worker-channel.ts";

/** An input of a task that is being opened. */
export type InputOpening = {
  readonly task: WorkerTask;
  readonly channel: WorkerChannel;
  readonly stack: DisposableStack;
  readonly input: WorkerInput;
  readonly index: number;
};

/** The stored bytes of a file: read from the inherited descriptor, or asked of the launcher. */
export function sourceOf(
  { task, channel, index }: InputOpening,
  { file, size }: { readonly file: number; readonly size: number },
): TableSource {
  const descriptor = task.descriptors[index]?.[file] ?? null;
  return descriptor === null
    ? channel.source({ input: index, file, size })
    : descriptorSource(descriptor, size);
}
