import { z } from "zod";
import { PpmlError } from "../base/index.ts";
import type { ManifestFloor } from "../format/grant.ts";
import { ecPublicJwkSchema, sha256HexSchema } from "../format/schema.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import { parseStored } from "./database.ts";
import type { BrokerDatabase } from "./database.ts";

const signersSchema = z.array(ecPublicJwkSchema).min(1).max(2);

/** A manifest that asks to become its dataset's lowest acceptable one. */
export type FloorChange = {
  readonly datasetId: string;
  readonly version: number;
  readonly manifestDigest: string;
  /** Null for the owner; for an attested job its TEE's signing key and the policy that approved it. */
  readonly delegate: { readonly signer: EcPublicJwk; readonly policy: string } | null;
};

/** A dataset's floor as a grant carries it; version 0 where no manifest was ever signed. */
export function floorOf(db: BrokerDatabase, datasetId: string): ManifestFloor {
  const row = db.row("floors", datasetId);
  if (row === null)
    return { datasetId, minVersion: 0, minDigest: null, signers: [db.identity.owner] };
  const [, version, manifestDigest, signers] = row;
  return {
    datasetId,
    minVersion: Number(version),
    minDigest: parseStored(sha256HexSchema, JSON.stringify(manifestDigest), db.path),
    signers: parseStored(signersSchema, signers, db.path),
  };
}

/**
 * Raises a floor; the same manifest again changes nothing and gives false. Call it inside a
 * transaction. A job may raise only a dataset that jobs of its own policy began, one step at a time.
 * @throws broker.floor where the manifest is not newer, skips versions, or is another's to write
 */
export function raiseFloor(db: BrokerDatabase, change: FloorChange): boolean {
  const { datasetId, version, manifestDigest, delegate } = change;
  const row = db.row("floors", datasetId);
  const [, lowest = 0, lowestDigest = null, , writtenBy = null] = row ?? [];
  const floor = Number(lowest);
  if (version === floor && lowestDigest === manifestDigest) return false;
  if (version <= floor)
    throw refused(
      change,
      `dataset ${datasetId} is at manifest version ${floor} and came with another one of version ${version}: an older manifest never comes back; sign a new one with version ${floor + 1}`,
    );
  if (delegate !== null && version !== floor + 1)
    throw refused(
      change,
      `dataset ${datasetId} is at manifest version ${floor}: a job's result has to be version ${floor + 1}, came ${version}`,
    );
  if (delegate !== null && row !== null && writtenBy !== delegate.policy)
    throw refused(
      change,
      `dataset ${datasetId} is not one that jobs under policy ${delegate.policy} write: give the job an output of its own`,
    );
  // Who began a dataset says who may go on with it; the owner's own re-signing changes nothing there.
  const delegatedBy = row === null ? (delegate?.policy ?? null) : writtenBy;
  const signers = JSON.stringify(signersOf(db.identity.owner, delegate?.signer ?? null));
  db.put("floors", [datasetId, version, manifestDigest, signers, delegatedBy]);
  return true;
}

function signersOf(owner: EcPublicJwk, delegate: EcPublicJwk | null): EcPublicJwk[] {
  if (delegate === null || jwkThumbprint(delegate) === jwkThumbprint(owner)) return [owner];
  return [owner, delegate];
}

function refused(change: FloorChange, message: string): PpmlError {
  return new PpmlError("broker.floor", message, {
    detail: { datasetId: change.datasetId, version: change.version },
  });
}
