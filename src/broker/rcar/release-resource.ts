import { isPpmlError, PpmlError, sha256, toHex, utf8 } from "../../base/index.ts";
import type { Secret } from "../../base/index.ts";
import { appraise } from "../../attest/appraise/appraise.ts";
import type { AppraisalPolicy } from "../../attest/appraise/policy.ts";
import { decryptResource } from "../../format/resource-cipher.ts";
import type { Resource } from "../../format/resource.ts";
import type { VerifiedObject } from "../../format/signed-object.ts";
import { toUnwrapRequest } from "../../key/wrap.ts";
import { requireResourceRules } from "../../release/check-resource.ts";
import { release } from "../../release/decide.ts";
import type { ResourceDecision } from "../../release/decide.ts";
import { boundByGuest, guestKeyId } from "../../release/guest-binding.ts";
import type { BrokerState } from "../broker-state.ts";
import { isInForce, policiesOfResources } from "../policies.ts";
import { findResource, isInPlace } from "../resources.ts";
import { joinRefusals, logGuestDecision, refusalOf } from "./rcar-log.ts";
import type { GuestDecision } from "./rcar-log.ts";
import type { AttestedGuest } from "./sessions.ts";

/**
 * Decides on a resource for an attested guest, and gives what `deliver` makes of its content, which is
 * disposed of here. Of the policies in force that
 * list the path the first, by name, that accepts the guest and grants the KEK releases. Grant and
 * refusal stand in the log before the answer leaves.
 * @throws release.denied release.not_granted release.policy release.binding attest.simulated key.*
 */
export async function releaseResource<T>(
  state: BrokerState,
  request: {
    readonly guest: AttestedGuest;
    readonly path: string;
    readonly purpose: string;
    readonly deliver: (decision: ResourceDecision, content: Secret) => T;
  },
): Promise<T> {
  const { guest, path, purpose, deliver } = request;
  const resource = findResource(state.db, path);
  const asked: GuestDecision = {
    // What never was has no digest of its own.
    request: { kind: "resource", digest: resource?.digest ?? toHex(sha256(utf8(path))) },
    name: path,
    evidenceDigest: guest.evidenceDigest,
    purpose,
    encryptionKey: guestKeyId(guest.binding),
    kekId: resource?.payload.sealed?.key.kekId ?? null,
    policy: null,
    result: null,
    refusal: null,
  };
  let found = asked;
  let isLogged = false;
  try {
    if (resource === null)
      throw new PpmlError(
        "release.denied",
        `the broker has no resource ${path}: put it with \`ppml broker resource put ${path}\``,
      );
    const { decision, last } = decideResource(state, { guest, resource, asked });
    found = last;
    if (decision instanceof PpmlError) throw decision;
    const answer = await deliverResource(state, decision, deliver);
    await logGuestDecision(state, found, () => requireUnchanged(state, decision));
    isLogged = true;
    return answer;
  } catch (error) {
    if (isPpmlError(error) && !isLogged)
      await logGuestDecision(state, { ...found, refusal: error });
    throw error;
  }
}

/** Tries the policies that list the path; where none releases, the refusal has every reason. */
function decideResource(
  state: BrokerState,
  options: {
    readonly guest: AttestedGuest;
    readonly resource: VerifiedObject<Resource>;
    readonly asked: GuestDecision;
  },
): { readonly decision: ResourceDecision | PpmlError; readonly last: GuestDecision } {
  const { guest, resource, asked } = options;
  const { path } = resource.payload;
  const refusals: PpmlError[] = [];
  let last = asked;
  for (const policy of policiesOfResources(state.db, path)) {
    const nowMs = state.clock();
    const rules = requireResourceRules(policy.payload, path);
    const result = appraiseGuest(guest, { policy: rules.appraisal, nowMs });
    const { binding } = guest;
    let decision: ResourceDecision | null = null;
    const refusal = refusalOf(() => {
      decision = release({
        by: { kind: "resource", result, binding, resource },
        policy,
        mode: state.db.identity.mode,
        nowMs,
      });
    });
    last = { ...asked, policy, result };
    if (decision !== null) return { decision, last };
    if (refusal !== null) refusals.push(refusal);
  }
  const nobody = new PpmlError(
    "release.denied",
    `no policy in force lists the resource ${path}: add it to a policy's resources and apply it`,
  );
  return { decision: joinRefusals(refusals, nobody), last };
}

/** The policy, and what it accepts by now, may be others than at the time of the Evidence: it is judged anew. */
function appraiseGuest(
  { evidence, binding }: AttestedGuest,
  by: { readonly policy: AppraisalPolicy; readonly nowMs: number },
): ReturnType<typeof appraise> {
  const reportData = boundByGuest(evidence.evidence, binding);
  return appraise({ evidence, reportData, ...by });
}

/** The content lives no longer than it takes to make the answer of it. */
async function deliverResource<T>(
  state: BrokerState,
  decision: ResourceDecision,
  deliver: (decision: ResourceDecision, content: Secret) => T,
): Promise<T> {
  using content = await openResource(state, decision);
  return deliver(decision, content);
}

async function openResource(state: BrokerState, decision: ResourceDecision): Promise<Secret> {
  using localKey = await state.vault.unwrap(toUnwrapRequest(decision.key));
  return decryptResource(decision.resource, localKey);
}

/** Policy and resource may have been replaced while the vault worked. @throws release.policy */
function requireUnchanged(state: BrokerState, decision: ResourceDecision): void {
  const { policy, request, resource } = decision;
  if (
    !isInForce(state.db, policy) ||
    !isInPlace(state.db, { path: resource.path, digest: request.digest })
  )
    throw new PpmlError(
      "release.policy",
      "the policy or the resource changed meanwhile: ask again",
    );
}
