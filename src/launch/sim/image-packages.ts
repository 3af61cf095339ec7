import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { PpmlError } from "../../base/index.ts";
import { parseWith } from "../../format/schema.ts";

const MAX_PACKAGES = 1000;
const NAME = /^(?:@[a-z0-9._~-]+\/)?[a-z0-9_][a-z0-9._~-]*$/i;

const manifestSchema = z.object({
  dependencies: z.record(z.string(), z.string()).optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
  peerDependencies: z.record(z.string(), z.string()).optional(),
});

/** One npm package of an image. */
export type ImagePackage = {
  /** Its folder, absolute, without symbolic links. */
  readonly folder: string;
  /** Its place in the image, such as node_modules/zod. */
  readonly path: string;
};

/** The package that an import names, or null for a relative path. */
export function packageNameOf(specifier: string): string | null {
  if (/^[./]/.test(specifier)) return null;
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/**
 * The packages `names` and all that they depend on, found as Node finds them, from `imageRoot`
 * upwards. What is optional counts where it is installed: the natives of this platform.
 * @throws launch.image
 */
export function planPackages(options: {
  readonly imageRoot: string;
  readonly names: Iterable<string>;
}): ImagePackage[] {
  const byFolder = new Map<string, ImagePackage>();
  const byPath = new Map<string, string>();
  const queue: { name: string; from: string; optional: boolean }[] = [];
  for (const name of options.names) queue.push({ name, from: options.imageRoot, optional: false });
  for (let request = queue.pop(); request !== undefined; request = queue.pop()) {
    const found = findPackage(request, byFolder);
    if (found === null || byFolder.has(found.folder)) continue;
    const other = byPath.get(found.path);
    if (byFolder.size === MAX_PACKAGES)
      throw new PpmlError("launch.image", `an image holds at most ${MAX_PACKAGES} packages`);
    if (other !== undefined)
      throw new PpmlError(
        "launch.image",
        `two versions of ${request.name} would lie at ${found.path}, ${other} and ${found.folder}: run npm dedupe`,
      );
    byFolder.set(found.folder, found);
    byPath.set(found.path, found.folder);
    for (const dependency of dependenciesOf(found.folder))
      queue.push({ ...dependency, from: found.folder });
  }
  return [...byFolder.values()];
}

function findPackage(
  request: { readonly name: string; readonly from: string; readonly optional: boolean },
  known: ReadonlyMap<string, ImagePackage>,
): ImagePackage | null {
  const { name, from, optional } = request;
  if (!NAME.test(name))
    throw new PpmlError("launch.image", `"${name}" is not the name of an npm package`);
  for (let directory = from; ; directory = dirname(directory)) {
    const folder = join(directory, "node_modules", name);
    if (existsSync(join(folder, "package.json"))) {
      const owner = known.get(directory)?.path;
      const place = join("node_modules", name);
      return {
        folder: realpathSync(folder),
        path: owner === undefined ? place : join(owner, place),
      };
    }
    if (dirname(directory) === directory) break;
  }
  if (optional) return null;
  throw new PpmlError(
    "launch.image",
    `the package ${name}, which ${from} imports, is not installed: run npm install`,
  );
}

function dependenciesOf(folder: string): { readonly name: string; readonly optional: boolean }[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  } catch (cause) {
    throw new PpmlError("launch.image", `${folder}/package.json is not readable JSON`, { cause });
  }
  const manifest = parseWith(manifestSchema, value, {
    what: `${folder}/package.json`,
    code: "launch.image",
  });
  // npm lists optional dependencies in both places.
  const optional = { ...manifest.optionalDependencies, ...manifest.peerDependencies };
  return Object.keys({ ...manifest.dependencies, ...optional }).map((name) => ({
    name,
    optional: name in optional,
  }));
}
