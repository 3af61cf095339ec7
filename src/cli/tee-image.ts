import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { measureImage } from "../launch/index.ts";
import type { LaunchRequest } from "../launch/index.ts";
import type { CliContext } from "./context.ts";
import type { Project } from "./config/load.ts";
import { usesDataLake } from "./data-lake.ts";
import { launcherConfigOf } from "./launcher-config.ts";
import type { JobRelease } from "./launcher-config.ts";

/** What boots first, and what that starts: the entries of the measured image. */
export const IMAGE_ENTRIES = ["launch/launcher-main.ts", "compute/sql/worker-main.ts"] as const;

/** What opens data lakes: only in the images of projects that have one, for it is a third of the files. */
const DATA_LAKE_MODULES = ["store/azure/azure-store.ts", "store/azure/token-access.ts"] as const;

/** What no launcher asks: vaults in Azure, and the logins that a person or a service has there. */
const NEVER_LAUNCHED = [
  "azure/index.ts",
  "key/azure/azure-vault.ts",
  "key/azure/secrets.ts",
] as const;

/** What a project's image is made of. */
export function imageOf(project: Project): {
  readonly entries: readonly string[];
  readonly without: readonly string[];
} {
  return { entries: IMAGE_ENTRIES, without: withoutFor(usesDataLake(project)) };
}

/** The modules that an image leaves out. */
export function withoutFor(hasDataLake: boolean): readonly string[] {
  return hasDataLake ? NEVER_LAUNCHED : [...NEVER_LAUNCHED, ...DATA_LAKE_MODULES];
}

/** The folder whose code the simulated TEE boots: this installation, or another one by `--image`. */
export function imageRootOf(context: CliContext, image: string | undefined): string {
  return image === undefined
    ? fileURLToPath(new URL("../..", import.meta.url))
    : resolve(context.cwd, image);
}

/** What a simulated TEE of this image and this project would measure for jobs of that release, in hex. */
export async function measureTee(
  imageRoot: string,
  project: Project,
  release: JobRelease,
): Promise<{ readonly measurement: string; readonly files: number; readonly bytes: number }> {
  const { measurement, files } = await measureImage({
    imageRoot,
    ...imageOf(project),
    config: await launcherConfigOf(project, release),
  });
  return {
    measurement: Buffer.from(measurement).toString("hex"),
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.size, 0),
  };
}

/** The flag of commands that boot or measure an image. */
export const imageFlag = {
  image: {
    kind: "parsed",
    parse: String,
    brief: "Folder whose code the simulated TEE boots (otherwise: this installation)",
    placeholder: "DIR",
    optional: true,
  },
} as const;

/** Bytes of a launch request. */
export function encodeLaunchRequest(request: LaunchRequest): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(request));
}
