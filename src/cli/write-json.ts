import { link, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { PpmlError } from "../base/index.ts";

/**
 * Writes a JSON document that people keep, whole or not at all: a full disk or a kill leaves the old
 * file as it was. Missing folders are made. `mode`: `new` refuses to write over a file.
 * @throws cli.exists where it must be new and is not; what the system refuses, as node:fs throws it
 */
export async function writeJson(
  path: string,
  value: unknown,
  options: { readonly mode: "new" | "replace"; readonly existsHint?: string },
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  // In the same folder: a rename or link cannot cross file systems.
  const temporary = `${path}.ppml-part-${process.pid}`;
  try {
    const file = await open(temporary, "wx", 0o666);
    try {
      await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    if (options.mode === "replace") await rename(temporary, path);
    else await linkNew(temporary, path, options.existsHint ?? "choose another name");
  } finally {
    await rm(temporary, { force: true });
  }
}

/** A hard link never writes over a file, also where two processes try at once. */
async function linkNew(temporary: string, path: string, hint: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EEXIST")
      throw new PpmlError("cli.exists", `${path} exists: ${hint}`, { cause });
    throw cause;
  }
}
