import {
  fromBase64Url,
  isPpmlError,
  PpmlError,
  sha256,
  toHex,
  toTimestamp,
} from "../base/index.ts";
import type { Secret } from "../base/index.ts";
import { appraise } from "../attest/appraise/appraise.ts";
import type { AttestationResult } from "../attest/appraise/appraise.ts";
import { expectedBinding } from "../attest/appraise/binding.ts";
import { encodeJcs } from "../format/jcs.ts";
import { jobSchema } from "../format/job.ts";
import type { Job } from "../format/job.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import type { WrappedLocalKey } from "../format/kek.ts";
import { ownerRequestSchema } from "../format/protocol.ts";
import type { ReleaseRequest } from "../format/protocol.ts";
import type { ReleasePredicate } from "../format/receipt.ts";
import { envelopeDigest, peekObject, verifyObject } from "../format/signed-object.ts";
import type { Envelope, VerifiedObject } from "../format/signed-object.ts";
import { toUnwrapRequest } from "../key/wrap.ts";
import { release, requireJobRules } from "../release/decide.ts";
import type { ReleaseDecision } from "../release/decide.ts";
import { verifyOwnerRequest } from "../release/owner-request.ts";
import type { Policy } from "../release/policy.ts";
import { sealGrant } from "../release/seal-grant.ts";
import { makeReleaseReceipt, signReceipt } from "../receipt/make-receipt.ts";
import type { BrokerState } from "./broker-state.ts";
import { floorOf } from "./floors.ts";
import { requireOpenNonce, spendNonce } from "./nonces.ts";
import { isInForce, policyInForce } from "./policies.ts";
import { refusalReason } from "./refusal-reason.ts";
import { recordRelease } from "./releases.ts";
import { evidenceRoots, verifyFor } from "./verify-evidence.ts";

/** What the log says of a request, whatever becomes of it. */
type Asked = Omit<
  ReleasePredicate,
  "v" | "mode" | "decision" | "attestation" | "refusal" | "time" | "policy"
> & { readonly nonce: string };

/** What was found on the way; a refusal's entry carries as much of it as there is. */
type Found = {
  policy: VerifiedObject<Policy> | null;
  result: AttestationResult | null;
};

/**
 * Decides on an attested job's request and gives the answer's JWE.
 * @throws what `release` throws, and release.nonce; every refusal after a good nonce is in the log
 */
export async function releaseToJob(state: BrokerState, request: ReleaseRequest): Promise<string> {
  const { job: envelope, runtimeData, evidence, keys, datasets } = request;
  const job = peekObject({ kind: "job", schema: jobSchema, envelope });
  const signingKey = runtimeData.keys[1];
  const asked: Asked = {
    ...askedKeys(state, keys, datasets),
    nonce: runtimeData.nonce,
    request: { kind: "job", digest: job.digest },
    name: job.payload.name,
    purpose: job.payload.purpose,
    evidenceDigest: toHex(sha256(fromBase64Url(evidence.evidence))),
    encryptionKey: jwkThumbprint(runtimeData["tee-pubkey"]),
    signingKey: jwkThumbprint(signingKey),
  };
  return answer(state, asked, async (found) => {
    const nowMs = state.clock();
    const policy = policyInForce(state.db, job.payload.policy);
    found.policy = policy;
    const rules = requireJobRules(policy.payload);
    const verified = await verifyFor(evidenceRoots(state), evidence, nowMs);
    found.result = appraise({
      evidence: verified,
      policy: rules.appraisal,
      reportData: expectedBinding(verified.evidence, encodeJcs(runtimeData)),
      nowMs,
    });
    const signedJob = verifyJob(envelope, policy.payload);
    return release({
      by: { kind: "job", result: found.result, job: signedJob, runtimeData, keys, datasets },
      policy,
      mode: state.db.identity.mode,
      nowMs,
    });
  });
}

/**
 * Decides on an owner's own request and gives the answer's JWE.
 * @throws what `release` throws, release.owner and release.nonce
 */
export async function releaseToOwner(state: BrokerState, envelope: Envelope): Promise<string> {
  const { payload, digest } = peekObject({
    kind: "owner-request",
    schema: ownerRequestSchema,
    envelope,
  });
  const asked: Asked = {
    ...askedKeys(state, payload.keys, payload.datasets),
    nonce: payload.nonce,
    request: { kind: "owner", digest },
    name: payload.policy,
    purpose: payload.purpose,
    evidenceDigest: null,
    encryptionKey: jwkThumbprint(payload.recipient),
    signingKey: null,
  };
  return answer(state, asked, (found) => {
    const policy = policyInForce(state.db, payload.policy);
    found.policy = policy;
    const { mode, owner } = state.db.identity;
    const request = verifyOwnerRequest({ envelope, policy, owner });
    return release({ by: { kind: "owner", request }, policy, mode, nowMs: state.clock() });
  });
}

/** Decides, unwraps, writes the entry and spends the nonce in one transaction, then seals. */
async function answer(
  state: BrokerState,
  asked: Asked,
  decide: (found: Found) => ReleaseDecision | Promise<ReleaseDecision>,
): Promise<string> {
  requireOpenNonce(state.db, asked.nonce, state.clock());
  const found: Found = { policy: null, result: null };
  let keys: readonly Secret[] = [];
  try {
    const decision = await decide(found);
    keys = await state.vault.unwrapAll(decision.keys.map((key) => toUnwrapRequest(key)));
    const { index, floors } = commit(state, { asked, found, refusal: null, decision });
    const { releaseKey } = state;
    const nowMs = state.clock();
    return await sealGrant({ decision, keys, floors, logIndex: index, releaseKey, nowMs });
  } catch (error) {
    // Where the grant was committed already its nonce is spent, and this writes nothing.
    if (isPpmlError(error)) logRefusal(state, { asked, found, refusal: error });
    throw error;
  } finally {
    for (const key of keys) key[Symbol.dispose]();
  }
}

/** A refusal spends the nonce and stands in the log; one for the nonce itself does neither. */
function logRefusal(
  state: BrokerState,
  outcome: { readonly asked: Asked; readonly found: Found; readonly refusal: PpmlError },
): void {
  if (outcome.refusal.code === "release.nonce") return;
  try {
    commit(state, { ...outcome, decision: null });
  } catch (error) {
    // Another request spent the nonce meanwhile: the answer is the refusal all the same.
    if (!isPpmlError(error, "release.nonce")) throw error;
  }
}

/** One transaction: the nonce is spent, the entry stands in the log, the release is on record. */
function commit(
  state: BrokerState,
  outcome: {
    readonly asked: Asked;
    readonly found: Found;
    readonly refusal: PpmlError | null;
    readonly decision: ReleaseDecision | null;
  },
): { readonly index: number; readonly floors: ReturnType<typeof floorOf>[] } {
  const { asked, decision } = outcome;
  const { db } = state;
  const nowMs = state.clock();
  return db.transaction(() => {
    spendNonce(db, asked.nonce, nowMs);
    // The policy may have been replaced while the vault worked.
    if (decision !== null && !isInForce(db, decision.policy))
      throw new PpmlError("release.policy", "the policy changed meanwhile: ask again");
    // In the same transaction as the entry that names them: the minima are those of this moment.
    const floors = (decision?.datasets ?? []).map((datasetId) => floorOf(db, datasetId));
    const receipt = makeReleaseReceipt(predicateOf(state, outcome, floors));
    const index = state.log.append(signReceipt(receipt, state.logKey));
    if (decision !== null) recordRelease(db, index, decision);
    return { index, floors };
  });
}

function predicateOf(
  state: BrokerState,
  outcome: Parameters<typeof commit>[1],
  floors: readonly { readonly datasetId: string; readonly minVersion: number }[],
): ReleasePredicate {
  const { found, refusal } = outcome;
  const { nonce: _, ...asked } = outcome.asked;
  const { policy, result } = found;
  return {
    ...asked,
    v: 1,
    mode: state.db.identity.mode,
    decision: refusal === null ? "granted" : "denied",
    policy: policy === null ? null : { name: policy.payload.name, digest: policy.digest },
    attestation: result?.data ?? null,
    datasets:
      refusal === null
        ? floors.map(({ datasetId, minVersion }) => ({ datasetId, minVersion }))
        : asked.datasets,
    refusal: refusal === null ? null : refusalReason(refusal),
    time: toTimestamp(state.clock()),
  };
}

function askedKeys(
  state: BrokerState,
  keys: readonly WrappedLocalKey[],
  datasets: readonly string[],
): Pick<Asked, "keks" | "keyCount" | "datasets"> {
  return {
    // What is asked for may be nonsense: the entry stays small whatever comes.
    keks: [...new Set(keys.map((key) => key.kekId))].slice(0, 1000),
    keyCount: keys.length,
    datasets: datasets.map((datasetId) => {
      const { minVersion } = floorOf(state.db, datasetId);
      return { datasetId, minVersion };
    }),
  };
}

function verifyJob(envelope: Envelope, policy: Policy): VerifiedObject<Job> {
  const signers = policy.jobs?.signers ?? [];
  try {
    return verifyObject({ kind: "job", schema: jobSchema, envelope, signers });
  } catch (cause) {
    if (!(cause instanceof PpmlError) || cause.code !== "format.signature") throw cause;
    throw new PpmlError(
      "release.job",
      `the job is not approved: no signer that policy ${policy.name} names signed exactly this job; let one sign it, or add its signer to jobs.signers and apply the policy`,
      { cause, detail: { ...cause.detail, job: envelopeDigest(envelope) } },
    );
  }
}
