import { existsSync } from "node:fs";
import { isPpmlError } from "../base/index.ts";
import type { ManifestFloor } from "../format/grant.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import { envelopeDigest } from "../format/signed-object.ts";
import { loadRootKeyFile } from "../key/index.ts";
import type { Project } from "./config/load.ts";
import type { StoredManifest } from "./stored-manifest.ts";
import { openEmbeddedOf, withVaultRoot } from "./vault.ts";
import { datasetIdOf } from "./workspace.ts";

/** What the project's broker last accepted, by dataset; or why that cannot be said. */
export type KnownFloors =
  | { readonly floors: ReadonlyMap<string, ManifestFloor>; readonly why: null }
  | { readonly floors: null; readonly why: string };

/**
 * Reads datasets' floors from the project's own broker state, without starting the broker: its files
 * and the vault's root key are enough.
 * @throws broker.state where it is there and damaged
 */
export async function loadKnownFloors(
  project: Project,
  of: {
    readonly passphraseFile: string | undefined;
    readonly owner: EcPublicJwk;
    readonly datasets: readonly string[];
  },
): Promise<KnownFloors> {
  const { passphraseFile, owner, datasets } = of;
  const keyId = jwkThumbprint(owner);
  const dir = project.resolve(project.config.broker.state);
  try {
    const datasetIds = datasets.map((name) => datasetIdOf({ keyId }, name));
    // Loaded only where there is something to read: it brings the broker's server with it.
    const { readBrokerFloors } = await import("../broker/index.ts");
    const floors = await withVaultRoot(project, { passphraseFile }, async (from) => {
      if (from.kind === "file") {
        using root = await loadRootKeyFile({ path: from.path });
        return readBrokerFloors({ dir, root, datasetIds });
      }
      using vault = await openEmbeddedOf(project, from);
      return readBrokerFloors({ dir, root: vault.root, datasetIds });
    });
    const pairs = datasets.flatMap((name, at) => {
      const floor = floors[at];
      return floor === undefined ? [] : ([[name, floor]] as const);
    });
    return { floors: new Map(pairs), why: null };
  } catch (error) {
    if (!isPpmlError(error) || error.code === "cli.cancelled") throw error;
    // Not there is another machine's; there and damaged could hide that the store was rolled back.
    if (error.code === "broker.state" && existsSync(dir)) throw error;
    const { remedy } = error.detail;
    const why = typeof remedy === "string" ? `${error.message}: ${remedy}` : error.message;
    return { floors: null, why };
  }
}

/**
 * How a stored manifest, or that there is none, differs from what the broker last accepted; null where
 * it does not. Its signature is not looked at.
 */
export function compareWithFloor(
  stored: StoredManifest | null,
  { minVersion, minDigest }: ManifestFloor,
): string | null {
  if (stored === null)
    return minVersion === 0
      ? null
      : `the broker accepted v${minVersion}, the store has no manifest: it was removed`;
  const { version } = stored.unverified.payload;
  if (minVersion === 0) return `the store has v${version}, and the broker accepted none`;
  if (version < minVersion)
    return `the broker accepted v${minVersion}, the store has v${version}: it was rolled back`;
  return version > minVersion || envelopeDigest(stored.envelope) === minDigest
    ? null
    : `the store has another v${version} than the broker accepted`;
}
