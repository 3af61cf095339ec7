import { readdir, stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { PpmlError } from "../base/index.ts";
import type { SealInput } from "../seal/index.ts";
import { openLocalSource } from "../store/index.ts";
import type { Project } from "./config/load.ts";
import type { DatasetConfig } from "./config/schema.ts";

/** A plaintext to seal, with its size for the progress bar. */
export type SizedInput = SealInput & { readonly size: number };

type Found = { readonly path: string; readonly name: string; readonly size: number };

/**
 * Finds the plaintext files of a dataset's `source`: files by their base name, folders with all that
 * is in them by relative name.
 * @throws seal.input
 */
export async function collectInputs(
  project: Project,
  dataset: { readonly name: string; readonly config: DatasetConfig },
): Promise<SizedInput[]> {
  const { source, kind } = dataset.config;
  if (source === undefined)
    throw new PpmlError(
      "seal.input",
      `dataset ${dataset.name} has no source in ppml.yaml: it is a result, or its source is missing`,
    );
  const found: Found[] = [];
  for (const path of typeof source === "string" ? [source] : source)
    found.push(...(await filesOf(project.resolve(path))));
  const names = new Set<string>();
  for (const { name } of found) {
    if (names.has(name))
      throw new PpmlError("seal.input", `two sources of ${dataset.name} are named ${name}`);
    names.add(name);
  }
  return Promise.all(
    found.map(async ({ path, name, size }) => ({
      name,
      size,
      kind: kind === "auto" ? requireMeant(dataset, name, await kindOf(path)) : kind,
      open: () => openLocalSource(path, { name, followLink: true }),
    })),
  );
}

/**
 * Refuses what would be sealed as bytes and is meant as a table: then a column that has a KEK of its own
 * would lie under that of the others. @throws seal.plan
 */
function requireMeant(
  { name: dataset, config }: { readonly name: string; readonly config: DatasetConfig },
  name: string,
  kind: "table" | "file",
): "table" | "file" {
  if (kind === "table") return kind;
  const apart = config.groups.find(({ columns }) => columns !== undefined);
  if (apart !== undefined)
    throw new PpmlError(
      "seal.plan",
      `${name} of ${dataset} is no Parquet file and would be sealed whole, the columns of group ${apart.name} (${apart.columns?.join(", ") ?? ""}) with all others: write it as Parquet, or make it a dataset of one group`,
    );
  if (/\.parquet$/i.test(name))
    throw new PpmlError(
      "seal.plan",
      `${name} of ${dataset} is named as Parquet and is none: empty, cut off, or something else; put the whole file there, or say "kind: file" if its bytes are to be sealed as they are`,
    );
  return kind;
}

async function filesOf(path: string): Promise<Found[]> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new PpmlError("seal.input", `${path} cannot be read: is "source" right?`, { cause });
  });
  if (info.isFile()) return [{ path, name: basename(path), size: info.size }];
  if (!info.isDirectory())
    throw new PpmlError("seal.input", `${path} is neither a file nor a folder`);
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !entry.name.startsWith("."));
  return Promise.all(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map(async (file) => ({
        path: file,
        name: relative(path, file).replaceAll("\\", "/"),
        size: (await stat(file)).size,
      })),
  );
}

/** A file that begins and ends as Parquet does is a table. */
async function kindOf(path: string): Promise<"table" | "file"> {
  await using source = await openLocalSource(path, { name: path, followLink: true });
  if (source.size < 12) return "file";
  const head = Buffer.from(await source.read(0, 4)).toString("latin1");
  const tail = Buffer.from(await source.read(source.size - 4, 4)).toString("latin1");
  return head === "PAR1" && tail === "PAR1" ? "table" : "file";
}
