import { PpmlError } from "../base/index.ts";
import type { Inclusion } from "../format/protocol.ts";
import { checkManifest, manifestSchema } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import { receiptSchema, RESULT_PREDICATE } from "../format/receipt.ts";
import type { ResultPredicate } from "../format/receipt.ts";
import { peekObject, verifyObject } from "../format/signed-object.ts";
import type { Envelope, VerifiedObject } from "../format/signed-object.ts";
import type { BrokerState } from "./broker-state.ts";
import { recordFloorEvent } from "./events.ts";
import { raiseFloor } from "./floors.ts";
import { findRelease, recordReceipt } from "./releases.ts";
import type { ReleaseRecord } from "./releases.ts";

/**
 * Enters a result's receipt in the log and raises its output's floor, where an earlier release of
 * this broker bound the TEE's key that signed both; the same receipt again gives its first place.
 * @throws receipt.invalid format.invalid format.signature broker.floor
 */
export function acceptReceipt(
  state: BrokerState,
  request: { readonly receipt: Envelope; readonly manifest: Envelope },
): Inclusion {
  const { db } = state;
  const keyId = request.receipt.signatures[0]?.keyid ?? "";
  const release = findRelease(db, keyId);
  if (release === null)
    throw refused(
      `no release of this broker bound the key ${keyId} that signed it: a receipt has to come from the TEE that was given the keys`,
    );
  const receipt = verifyReceipt(request.receipt, release);
  if (release.receipt !== null) {
    if (release.receipt.digest !== receipt.digest)
      throw refused("the release has another receipt already: each release makes one result");
    return state.log.prove(release.receipt.index, state.clock());
  }
  const manifest = verifyManifest(request.manifest, release);
  checkResult(receipt.predicate, { release, manifest, mode: db.identity.mode });
  const index = db.transaction(() => {
    const { datasetId, version } = manifest.payload;
    const delegate = { signer: release.signingKey, policy: release.policy.name };
    raiseFloor(db, { datasetId, version, manifestDigest: manifest.digest, delegate });
    const at = state.log.append(request.receipt);
    recordReceipt(db, release, { index: at, digest: receipt.digest });
    recordFloorEvent(state, { manifest, by: "job" });
    return at;
  });
  return state.log.prove(index, state.clock());
}

function verifyReceipt(
  envelope: Envelope,
  release: ReleaseRecord,
): { readonly predicate: ResultPredicate; readonly digest: string } {
  // The type first: a broker's own receipts are signed by another key, and never come in here.
  const { payload } = peekObject({ kind: "receipt", schema: receiptSchema, envelope });
  if (payload.predicateType !== RESULT_PREDICATE)
    throw refused("expected the receipt of a result; the broker writes the others by itself");
  const { digest } = verifyObject({
    kind: "receipt",
    schema: receiptSchema,
    envelope,
    signers: [release.signingKey],
  });
  return { predicate: payload.predicate, digest };
}

function verifyManifest(envelope: Envelope, release: ReleaseRecord): VerifiedObject<Manifest> {
  const verified = verifyObject({
    kind: "manifest",
    schema: manifestSchema,
    envelope,
    signers: [release.signingKey],
  });
  checkManifest(verified.payload);
  return verified;
}

/** The receipt, the manifest and the release have to speak of one job and one output. */
function checkResult(
  result: ResultPredicate,
  context: {
    readonly release: ReleaseRecord;
    readonly manifest: VerifiedObject<Manifest>;
    readonly mode: string;
  },
): void {
  const { release, manifest } = context;
  const { payload } = manifest;
  const pairs: readonly (readonly [what: string, said: unknown, expected: unknown])[] = [
    ["mode", result.mode, context.mode],
    ["job digest", result.job.digest, release.jobDigest],
    ["job digest of the runtime data", result.runtimeData["job-digest"], release.jobDigest],
    ["policy", result.policy?.digest ?? null, release.policy.digest],
    ["release's log entry", result.releaseLogIndex, release.logIndex],
    [
      "signing key of the runtime data",
      jwkThumbprint(result.runtimeData.keys[1]),
      jwkThumbprint(release.signingKey),
    ],
    ["output dataset", result.output.datasetId, release.output.datasetId],
    ["output name", result.output.name, release.output.name],
    ["output KEK", result.output.kekThumbprint, release.output.kekThumbprint],
    ["manifest's dataset", payload.datasetId, release.output.datasetId],
    ["manifest's name", payload.name, release.output.name],
    ["manifest digest", result.output.manifestDigest, manifest.digest],
    ["manifest version", result.output.version, payload.version],
    ["Merkle root", result.output.merkleRoot, payload.merkleRoot],
  ];
  const wrong = pairs.find(([, said, expected]) => said !== expected);
  if (wrong !== undefined)
    throw refused(`its ${wrong[0]} is ${String(wrong[1])}, expected ${String(wrong[2])}`);
  const foreign = [...payload.groups, ...payload.localKeys].find(
    ({ kekId }) => kekId !== release.output.kekId,
  );
  if (foreign !== undefined)
    throw refused(`the manifest names KEK ${foreign.kekId}, the job names ${release.output.kekId}`);
}

function refused(why: string): PpmlError {
  return new PpmlError("receipt.invalid", `the receipt is refused: ${why}`);
}
