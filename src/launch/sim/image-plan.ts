import { lstatSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, normalize, sep } from "node:path";
import { PpmlError, utf8 } from "../../base/index.ts";
import { packageNameOf, planPackages } from "./image-packages.ts";

const MAX_FILES = 50_000;
const MAX_SOURCE_BYTES = 4 * 1024 * 1024;
/** What Node never runs from a package: it may be left out, for what is not there is not read. */
const NOT_RUN = /\.(?:[cm]?ts|tsx|map|md|markdown|txt)$/i;

/** Where a file of the image comes from: a file, or bytes made here. */
export type PlannedFile = {
  /** Its place in the image, '/'-separated. */
  readonly path: string;
  readonly from: { readonly file: string } | { readonly bytes: Uint8Array };
};

/** What an image is made of. */
export type ImagePlan = {
  readonly files: readonly PlannedFile[];
  /** The place of each entry in the image, in the order given; the first one is what boots. */
  readonly entryPaths: readonly string[];
};

/**
 * Finds all that the entries can run: our own modules by their imports (`src` with .ts files in a
 * clone, `dist` with .js files in the installed package), the npm packages that these name, whole
 * and with their dependencies, and the Node binary. Reads, but copies nothing.
 * `entries` are relative to `src`, with .ts, such as "launch/launcher-main.ts".
 * @throws launch.image
 * @see docs/attestation.md section "The measured image"
 */
export function planImage(options: {
  readonly imageRoot: string;
  readonly entries: readonly string[];
  /** The Node that is to run; by default the one that runs now. */
  readonly nodeBinary?: string;
  /** Modules that are left out with all that they alone need, named as the entries are. */
  readonly without?: readonly string[];
}): ImagePlan {
  const imageRoot = realpathSync(options.imageRoot);
  const entryPaths = options.entries.map((entry) => locateEntry(imageRoot, entry));
  if (entryPaths.length === 0) throw new PpmlError("launch.image", "an image needs an entry");
  const left = new Set((options.without ?? []).map((entry) => locateEntry(imageRoot, entry)));
  const { modules, packages } = walkModules(imageRoot, entryPaths, left);
  const files: PlannedFile[] = [
    { path: "node", from: { file: realpathSync(options.nodeBinary ?? process.execPath) } },
    // The image's own: the project's package.json has much that says nothing of what runs.
    { path: "package.json", from: { bytes: utf8('{"type":"module"}\n') } },
    ...modules.map((path) => ({ path, from: { file: join(imageRoot, path) } })),
  ];
  for (const { folder, path } of planPackages({ imageRoot, names: packages }))
    for (const file of packageFiles(folder))
      files.push({ path: toPosix(join(path, file)), from: { file: join(folder, file) } });
  return { files, entryPaths };
}

function locateEntry(imageRoot: string, entry: string): string {
  const candidates = [join("src", entry), join("dist", entry.replace(/\.ts$/, ".js"))];
  const found = candidates.find(
    (path) => lstatSync(join(imageRoot, path), { throwIfNoEntry: false })?.isFile() === true,
  );
  if (found === undefined || entry.split("/").includes(".."))
    throw new PpmlError(
      "launch.image",
      `the entry ${entry} is neither in ${imageRoot}/src nor in ${imageRoot}/dist: build the package, or run from a whole clone`,
    );
  return toPosix(found);
}

function walkModules(
  imageRoot: string,
  entries: readonly string[],
  left: ReadonlySet<string>,
): { readonly modules: string[]; readonly packages: Set<string> } {
  const modules = new Set(entries);
  const packages = new Set<string>();
  // A Set is walked to its end, that which is added on the way included.
  for (const path of modules) {
    for (const specifier of importsOf(readModule(imageRoot, path))) {
      if (isBuiltin(specifier)) continue;
      const name = packageNameOf(specifier);
      if (name !== null) packages.add(name);
      else {
        const module = resolveRelative(path, specifier);
        if (!left.has(module)) modules.add(module);
      }
    }
    if (modules.size > MAX_FILES)
      throw new PpmlError("launch.image", `an image holds at most ${MAX_FILES} modules`);
  }
  return { modules: [...modules], packages };
}

function resolveRelative(importer: string, specifier: string): string {
  const path = toPosix(join(dirname(importer), specifier));
  const [root = ""] = importer.split("/");
  if (!path.startsWith(`${root}/`))
    throw new PpmlError(
      "launch.image",
      `${importer} imports ${specifier}, which is outside ${root}: what is measured stays inside`,
    );
  return path;
}

function readModule(imageRoot: string, path: string): string {
  const file = join(imageRoot, path);
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats?.isFile() !== true || stats.size > MAX_SOURCE_BYTES || realpathSync(file) !== file)
    throw new PpmlError(
      "launch.image",
      `${file} is imported, but is not a plain file of at most ${MAX_SOURCE_BYTES} bytes`,
    );
  return readFileSync(file, "utf8");
}

/**
 * The modules that a source names: static imports and exports, import() and new URL() of a literal.
 * Statements begin their line, as our formatter and tsc write them. To find too many is harmless;
 * one that is missed is not in the image and does not load.
 * Imports of types alone are erased before anything runs.
 */
function importsOf(source: string): string[] {
  const patterns = [
    /^(?:import|export)\s+(?!type\s)[^'"`;]*?\bfrom\s*["']([^"'\n]+)["']/gm,
    /^import\s*["']([^"'\n]+)["']/gm,
    /\bimport\(\s*["']([^"'\n]+)["']\s*[,)]/g,
    /\bnew URL\(\s*["'](\.[^"'\n]+)["']\s*,\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) =>
    [...source.matchAll(pattern)].map((match) => match[1] ?? ""),
  );
}

/** The files of a package that can run, without the packages inside it; relative, '/'-separated. */
function packageFiles(folder: string): string[] {
  const files: string[] = [];
  const folders = [""];
  for (let at = folders.pop(); at !== undefined; at = folders.pop())
    for (const entry of readdirSync(join(folder, at), { withFileTypes: true })) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== "node_modules") folders.push(path);
      } else if (entry.isFile()) {
        if (!NOT_RUN.test(entry.name)) files.push(path);
      } else
        throw new PpmlError(
          "launch.image",
          `${join(folder, path)} is a link or a special file: a package of an image holds plain files only`,
        );
      if (files.length > MAX_FILES)
        throw new PpmlError("launch.image", `${folder} has more than ${MAX_FILES} files`);
    }
  return files;
}

function toPosix(path: string): string {
  return normalize(path).split(sep).join("/");
}
