import { PpmlError } from "../base/index.ts";
import type { ManifestFloor } from "../format/grant.ts";

/** The floor of a dataset among those that a release names. @throws release.response */
export function floorOf(floors: readonly ManifestFloor[], datasetId: string): ManifestFloor {
  const floor = floors.find((candidate) => candidate.datasetId === datasetId);
  if (floor === undefined)
    throw new PpmlError("release.response", `the grant names no manifest floor for ${datasetId}`);
  return floor;
}
