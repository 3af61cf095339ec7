import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VaultRoot } from "../../../src/key/index.ts";
import { createRootKeyFile } from "../../../src/key/index.ts";

/** A folder of a test's own with a root-key file, removed by `dispose`. */
export async function makeFolder(): Promise<{
  readonly folder: string;
  readonly root: VaultRoot & { readonly kind: "file" };
  readonly path: (name: string) => string;
  readonly dispose: () => Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), "ppml-key-"));
  const root = { kind: "file", path: join(folder, "root.key") } as const;
  await createRootKeyFile({ path: root.path });
  return {
    folder,
    root,
    path: (name) => join(folder, name),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}
