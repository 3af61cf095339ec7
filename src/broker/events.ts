import { toTimestamp } from "../base/index.ts";
import type { Manifest } from "../format/manifest.ts";
import type { EventPredicate } from "../format/receipt.ts";
import type { Resource } from "../format/resource.ts";
import type { VerifiedObject } from "../format/signed-object.ts";
import type { Policy } from "../release/policy.ts";
import { makeEventReceipt, signReceipt } from "../receipt/make-receipt.ts";
import type { BrokerState } from "./broker-state.ts";

/** Enters a policy's coming into force in the log. Call it inside that transaction. */
export function recordPolicyEvent(state: BrokerState, policy: VerifiedObject<Policy>): void {
  const { name, version } = policy.payload;
  const { digest, keyId: signer } = policy;
  append(state, { kind: "policy-applied", name, version, digest, signer });
}

/** Enters a raised manifest floor in the log. Call it inside that transaction. */
export function recordFloorEvent(
  state: BrokerState,
  raised: { readonly manifest: VerifiedObject<Manifest>; readonly by: "owner" | "job" },
): void {
  const { digest: manifestDigest, keyId: signer, payload } = raised.manifest;
  const { name, datasetId, version } = payload;
  const { by } = raised;
  append(state, { kind: "floor-raised", name, datasetId, version, manifestDigest, signer, by });
}

/** Enters a resource's new or removed content in the log. Call it inside that transaction. */
export function recordResourceEvent(state: BrokerState, resource: VerifiedObject<Resource>): void {
  const { path: name, version, sealed } = resource.payload;
  const { digest, keyId: signer } = resource;
  const removed = sealed === null;
  append(state, { kind: "resource-changed", name, version, digest, signer, removed });
}

function append(state: BrokerState, event: EventPredicate["event"]): void {
  const receipt = makeEventReceipt({
    v: 1,
    mode: state.db.identity.mode,
    event,
    time: toTimestamp(state.clock()),
  });
  state.log.append(signReceipt(receipt, state.logKey));
}
