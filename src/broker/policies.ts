import { PpmlError } from "../base/index.ts";
import { envelopeSchema, verifyObject } from "../format/signed-object.ts";
import type { Envelope, VerifiedObject } from "../format/signed-object.ts";
import { checkPolicy } from "../release/check-policy.ts";
import { policySchema } from "../release/policy.ts";
import type { Policy } from "../release/policy.ts";
import { parseStored } from "./database.ts";
import type { Row } from "./authentic-rows.ts";
import type { BrokerDatabase } from "./database.ts";

/** How many verified policies are kept for each broker. */
const MAX_KEPT = 64;

/** Verified policies by their rows' text: a function's results, for a text and an owner that do not change. */
const kept = new WeakMap<BrokerDatabase, Map<string, VerifiedObject<Policy>>>();

/**
 * The policy of that name that is in force, its signature checked.
 * @throws release.policy
 */
export function policyInForce(db: BrokerDatabase, name: string): VerifiedObject<Policy> {
  const row = db.row("policies", name);
  if (row === null)
    throw new PpmlError(
      "release.policy",
      `no policy ${name} is in force: put it in force with \`ppml policy apply ${name}\``,
      { detail: { policy: name } },
    );
  return verifyRow(db, row);
}

/** Whether that very policy is in force: by its digest, which stood the checks when it was stored. */
export function isInForce(
  db: BrokerDatabase,
  policy: { readonly name: string; readonly digest: string },
): boolean {
  return db.row("policies", policy.name)?.[2] === policy.digest;
}

/**
 * The policies in force that list resources, or the one resource of `path`: in the order of their
 * names, each signature checked.
 */
export function policiesOfResources(
  db: BrokerDatabase,
  path: string | null,
): VerifiedObject<Policy>[] {
  return db.read(() =>
    db.keysOf("policies").flatMap((name) => {
      const row = db.row("policies", name);
      if (row === null) return [];
      const policy = verifyRow(db, row);
      const { resources } = policy.payload;
      const lists = path === null ? resources.length > 0 : resources.includes(path);
      return lists ? [policy] : [];
    }),
  );
}

/** Verifies that the owner signed a policy that may be put in force here. @throws release.policy */
export function verifyNewPolicy(db: BrokerDatabase, envelope: Envelope): VerifiedObject<Policy> {
  const verified = verifyPolicy(db, envelope);
  const errors = checkPolicy(verified.payload, db.identity.mode).filter(
    (finding) => finding.severity === "error",
  );
  if (errors.length > 0)
    throw new PpmlError(
      "release.policy",
      `policy ${verified.payload.name} cannot be put in force: ${errors.map(({ path, message }) => `${path}: ${message}`).join("; ")}`,
      { detail: { findings: errors } },
    );
  return verified;
}

/**
 * Puts a verified policy in force; the one in force already changes nothing and gives false. Call it
 * inside a transaction. Versions only rise, so that an old policy never comes back unsigned.
 * @throws release.policy
 */
export function storePolicy(db: BrokerDatabase, policy: VerifiedObject<Policy>): boolean {
  const { name, version } = policy.payload;
  const [, inForce = 0, digest = null] = db.row("policies", name) ?? [];
  if (digest === policy.digest) return false;
  const current = Number(inForce);
  if (version <= current)
    throw new PpmlError(
      "release.policy",
      `policy ${name} is in force in version ${current} and came in version ${version}: sign it with version ${current + 1}`,
      { detail: { policy: name, inForce: current, version } },
    );
  db.put("policies", [name, version, policy.digest, JSON.stringify(policy.envelope)]);
  return true;
}

/** The policy of a row, verified once for each text: that takes as long as an eighth of a guest's handshake. */
function verifyRow(db: BrokerDatabase, row: Row): VerifiedObject<Policy> {
  const text = String(row[3]);
  const known = kept.get(db) ?? new Map<string, VerifiedObject<Policy>>();
  kept.set(db, known);
  const before = known.get(text);
  if (before !== undefined) return before;
  const verified = verifyPolicy(db, parseStored(envelopeSchema, text, db.path));
  const [oldest] = known.keys();
  if (known.size >= MAX_KEPT && oldest !== undefined) known.delete(oldest);
  known.set(text, verified);
  return verified;
}

function verifyPolicy(db: BrokerDatabase, envelope: Envelope): VerifiedObject<Policy> {
  const signers = [db.identity.owner];
  return verifyObject({ kind: "policy", schema: policySchema, envelope, signers });
}
