import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { measureImage } from "../launch/index.ts";
import type { LaunchRequest } from "../launch/index.ts";
import type { CliContext } from "./context.ts";
import { launcherConfigOf } from "./pinned-roots.ts";
import type { PinnedRoots } from "./pinned-roots.ts";

/** What boots first, and what that starts: the entries of the measured image. */
export const IMAGE_ENTRIES = ["launch/launcher-main.ts", "compute/sql/worker-main.ts"] as const;

/** The folder whose code the simulated TEE boots: this installation, or another one by `--image`. */
export function imageRootOf(context: CliContext, image: string | undefined): string {
  return image === undefined
    ? fileURLToPath(new URL("../..", import.meta.url))
    : resolve(context.cwd, image);
}

/** What a simulated TEE of this image and these roots would measure, in hex. */
export async function measureTee(
  imageRoot: string,
  roots: PinnedRoots,
): Promise<{ readonly measurement: string; readonly files: number; readonly bytes: number }> {
  const { measurement, files } = await measureImage({
    imageRoot,
    entries: IMAGE_ENTRIES,
    config: launcherConfigOf(roots),
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
