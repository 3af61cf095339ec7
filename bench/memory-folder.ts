import { accessSync, constants } from "node:fs";

/**
 * A folder whose files are in memory: figures must not be those of a disk.
 * @throws Error where there is none
 */
export function memoryFolder(): string {
  const folder = "/dev/shm";
  accessSync(folder, constants.W_OK);
  return folder;
}
