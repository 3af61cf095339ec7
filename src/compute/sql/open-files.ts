import { encodeHeaderOf } from "../../format/sealed-file/header.ts";
import { openSealedFile } from "../../open/open-file.ts";
import { KEY_OF } from "./frames.ts";
import { sourceOf } from "./input-source.ts";
import type { InputOpening } from "./input-source.ts";
import { openMemoryFile } from "./memory-file.ts";
import type { MemoryFile } from "./memory-file.ts";

/** Opens the sealed files of an input whole, each into a file in memory. @throws as openSealedFile */
export async function openFiles(opening: InputOpening): Promise<MemoryFile[]> {
  const { task, channel, stack, input } = opening;
  const files: MemoryFile[] = [];
  for (const [file, expected] of input.files.entries()) {
    const opened = await openSealedFile({
      source: sourceOf(opening, { file, size: expected.length }),
      expected: { ...expected, datasetId: input.datasetId },
      dekFor: (header) => channel.key(KEY_OF.file, encodeHeaderOf(header)),
    });
    const memory = stack.use(openMemoryFile(task.workDirectory));
    for await (const chunk of opened.stream()) memory.append(chunk);
    files.push(memory);
  }
  return files;
}
