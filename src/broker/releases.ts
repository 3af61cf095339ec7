import { z } from "zod";
import { PpmlError } from "../base/index.ts";
import { jobSchema } from "../format/job.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import { ecPublicJwkSchema, nameSchema, sha256HexSchema } from "../format/schema.ts";
import type { ReleaseDecision } from "../release/decide.ts";
import { parseStored } from "./database.ts";
import type { BrokerDatabase } from "./database.ts";

const recordSchema = z.strictObject({
  jobDigest: sha256HexSchema,
  signingKey: ecPublicJwkSchema,
  policy: z.strictObject({ name: nameSchema, digest: sha256HexSchema }),
  output: jobSchema.shape.output,
});

/** A granted release to a job, with what its result has to fit. */
export type ReleaseRecord = z.infer<typeof recordSchema> & {
  readonly logIndex: number;
  /** Log entry and payload digest of its result's receipt; null before there is one. */
  readonly receipt: { readonly index: number; readonly digest: string } | null;
};

/**
 * Records a granted release to a job; an owner's leaves no record. Call it inside the transaction
 * that writes its log entry.
 * @throws release.binding where the TEE's signing key was used in an earlier release
 */
export function recordRelease(db: BrokerDatabase, index: number, decision: ReleaseDecision): void {
  const { signingKey, output, policy } = decision;
  if (signingKey === null || output === null) return;
  const thumbprint = jwkThumbprint(signingKey);
  if (findRelease(db, thumbprint) !== null)
    throw new PpmlError(
      "release.binding",
      "the TEE's signing key was used in an earlier release: start the job anew, with fresh keys",
    );
  const record = { jobDigest: decision.request.digest, signingKey, policy, output };
  db.put("releases", [thumbprint, index, JSON.stringify(record), null, null]);
}

/** The granted release that bound the TEE's signing key with that thumbprint, or null. */
export function findRelease(db: BrokerDatabase, thumbprint: string): ReleaseRecord | null {
  const row = db.row("releases", thumbprint);
  if (row === null) return null;
  const [, logIndex, json, receiptIndex, digest] = row;
  return {
    ...parseStored(recordSchema, json, db.path),
    logIndex: Number(logIndex),
    receipt: typeof digest === "string" ? { index: Number(receiptIndex), digest } : null,
  };
}

/** Notes the one receipt of a release's result. Call it inside the transaction that logs it. */
export function recordReceipt(
  db: BrokerDatabase,
  release: ReleaseRecord,
  receipt: { readonly index: number; readonly digest: string },
): void {
  const row = db.row("releases", jwkThumbprint(release.signingKey));
  const [thumbprint = null, logIndex = null, json = null, , digest = null] = row ?? [];
  if (row === null || digest !== null)
    throw new PpmlError("base.internal", "a release got a second receipt");
  db.put("releases", [thumbprint, logIndex, json, receipt.index, receipt.digest]);
}
