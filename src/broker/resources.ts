import { PpmlError } from "../base/index.ts";
import { resourceSchema } from "../format/resource.ts";
import type { Resource, ResourceEntry } from "../format/resource.ts";
import { envelopeSchema, verifyObject } from "../format/signed-object.ts";
import type { Envelope, VerifiedObject } from "../format/signed-object.ts";
import { parseStored } from "./database.ts";
import type { BrokerDatabase } from "./database.ts";

/** How many resources, removed ones included, a broker keeps. */
export const MAX_RESOURCES = 1000;

/** Verifies that the owner signed a resource. @throws format.signature format.invalid */
export function verifyResource(db: BrokerDatabase, envelope: Envelope): VerifiedObject<Resource> {
  const signers = [db.identity.owner];
  return verifyObject({ kind: "resource", schema: resourceSchema, envelope, signers });
}

/**
 * Puts a verified resource in its place; the same one again changes nothing and gives false. Call it
 * inside a transaction. Versions only rise, also after a removal, so that an old content never comes
 * back unsigned.
 * @throws broker.resource
 */
export function storeResource(db: BrokerDatabase, resource: VerifiedObject<Resource>): boolean {
  const { path, version } = resource.payload;
  const row = db.row("resources", path);
  const [, stored = 0, digest = null] = row ?? [];
  if (digest === resource.digest) return false;
  const current = Number(stored);
  if (version <= current)
    throw new PpmlError(
      "broker.resource",
      `the resource ${path} has version ${current} and came in version ${version}: sign it with version ${current + 1}`,
      { detail: { path, current, version } },
    );
  if (row === null && db.count("resources") >= MAX_RESOURCES)
    throw new PpmlError("broker.resource", `the broker has ${MAX_RESOURCES} resources already`);
  db.put("resources", [path, version, resource.digest, JSON.stringify(resource.envelope)]);
  return true;
}

/** The resource of that path, its signature checked again; null where there never was one. */
export function findResource(db: BrokerDatabase, path: string): VerifiedObject<Resource> | null {
  const row = db.row("resources", path);
  return row === null ? null : verifyResource(db, parseStored(envelopeSchema, row[3], db.path));
}

/** Whether that very resource is under its path: by its digest, which stood the checks when it was stored. */
export function isInPlace(
  db: BrokerDatabase,
  resource: { readonly path: string; readonly digest: string },
): boolean {
  return db.row("resources", resource.path)?.[2] === resource.digest;
}

/** All resources by path: what they are sealed for, not what is in them. */
export function listResources(db: BrokerDatabase): ResourceEntry[] {
  return db.read(() =>
    db.keysOf("resources").flatMap((path) => {
      const resource = findResource(db, path);
      return resource === null ? [] : [entryOf(resource)];
    }),
  );
}

/** What is told of a resource. */
export function entryOf({ payload, digest }: VerifiedObject<Resource>): ResourceEntry {
  const { path, version, sealed } = payload;
  return { path, version, digest, kekId: sealed?.key.kekId ?? null };
}
