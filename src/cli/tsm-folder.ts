import { stat } from "node:fs/promises";
import { join } from "node:path";
import { fromUtf8, readBoundedFile, toBase64, utf8 } from "../base/index.ts";

/** More than a quote or a host's certificates ever take. */
const MAX_PART_BYTES = 128 * 1024;

/**
 * An entry of configfs-tsm, or a copy of one, as the JSON that Evidence detection reads: its files
 * `provider`, `outblob` and, where there is one, `auxblob`. Null where `path` is no folder with an
 * `outblob`.
 * @throws attest.invalid
 * @see Linux Documentation/ABI/testing/configfs-tsm
 */
export async function readTsmFolder(path: string): Promise<Uint8Array | null> {
  if (!(await exists(join(path, "outblob")))) return null;
  const provider = fromUtf8(await part(path, "provider"));
  const outblob = toBase64(await part(path, "outblob"));
  const auxblob = (await exists(join(path, "auxblob")))
    ? { auxblob: toBase64(await part(path, "auxblob")) }
    : {};
  return utf8(JSON.stringify({ provider, outblob, ...auxblob }));
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false; // Whatever hinders it: reading the folder as a file says so.
  }
}

function part(path: string, name: string): Promise<Uint8Array> {
  return readBoundedFile(join(path, name), {
    what: `the Evidence ${join(path, name)}`,
    maxBytes: MAX_PART_BYTES,
    code: "attest.invalid",
    remedy: "Give a folder with the files provider, outblob and auxblob, as configfs-tsm has them.",
  });
}
