import { isPpmlError, PpmlError, toTimestamp } from "../../base/index.ts";
import type { AttestationResult } from "../../attest/appraise/appraise.ts";
import type { ReleasePredicate } from "../../format/receipt.ts";
import type { VerifiedObject } from "../../format/signed-object.ts";
import type { Policy } from "../../release/policy.ts";
import { makeReleaseReceipt, signReceipt } from "../../receipt/make-receipt.ts";
import type { BrokerState } from "../broker-state.ts";
import { refusalReason } from "../refusal-reason.ts";

/** One decision about a guest, for the log. */
export type GuestDecision = {
  readonly request: ReleasePredicate["request"];
  /** The resource's path, or the guest's TEE. */
  readonly name: string;
  readonly evidenceDigest: string;
  /** Names the guest's key. @see guestKeyId */
  readonly encryptionKey: string;
  readonly purpose: string;
  readonly kekId: string | null;
  readonly policy: VerifiedObject<Policy> | null;
  readonly result: AttestationResult | null;
  readonly refusal: PpmlError | null;
};

/**
 * Enters a decision in the log; it is durable when the promise resolves. `check` runs in the same
 * transaction, before. Rejects with what `check` throws, and broker.state.
 */
export async function logGuestDecision(
  state: BrokerState,
  decision: GuestDecision,
  check?: () => void,
): Promise<void> {
  const { request, name, kekId, policy, result, refusal } = decision;
  const predicate: ReleasePredicate = {
    v: 1,
    mode: state.db.identity.mode,
    decision: refusal === null ? "granted" : "denied",
    request,
    name,
    purpose: decision.purpose,
    policy: policy === null ? null : { name: policy.payload.name, digest: policy.digest },
    attestation: result?.data ?? null,
    evidenceDigest: decision.evidenceDigest,
    encryptionKey: decision.encryptionKey,
    signingKey: null,
    keks: kekId === null ? [] : [kekId],
    keyCount: kekId === null ? 0 : 1,
    datasets: [],
    refusal: refusal === null ? null : refusalReason(refusal),
    time: toTimestamp(state.clock()),
  };
  await state.commits.append(signReceipt(makeReleaseReceipt(predicate), state.logKey), check);
}

/** Puts the reasons of many policies into one refusal; there is always one. */
export function joinRefusals(refusals: readonly PpmlError[], otherwise: PpmlError): PpmlError {
  const [first = otherwise, ...more] = refusals;
  if (more.length === 0) return first;
  return new PpmlError(first.code, refusals.map(({ message }) => message).join(" | "), {
    cause: new AggregateError(refusals),
  });
}

/** Runs a check of one policy; its refusal is data, and what is no refusal goes on up. */
export function refusalOf(check: () => void): PpmlError | null {
  try {
    check();
    return null;
  } catch (error) {
    if (isPpmlError(error)) return error;
    throw error;
  }
}
