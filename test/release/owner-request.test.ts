import assert from "node:assert/strict";
import { test } from "node:test";
import { toTimestamp } from "../../src/base/index.ts";
import type { OwnerRequest } from "../../src/format/protocol.ts";
import { signObject, verifyObject } from "../../src/format/signed-object.ts";
import type { VerifiedObject } from "../../src/format/signed-object.ts";
import { verifyOwnerRequest } from "../../src/release/owner-request.ts";
import { policySchema } from "../../src/release/policy.ts";
import type { Policy } from "../../src/release/policy.ts";
import { newSigningKey, NOW_MS, randomNonce } from "../broker/fixture.ts";

const owner = newSigningKey();

function policyOf(name: string, ownerOpen: Policy["ownerOpen"]): VerifiedObject<Policy> {
  const payload: Policy = {
    v: 1,
    name,
    version: 1,
    appraisal: null,
    release: null,
    jobs: null,
    resources: [],
    grants: ["vault/results"],
    ownerOpen: [...ownerOpen],
  };
  const envelope = signObject("policy", payload, owner);
  const signers = [owner.publicJwk];
  return verifyObject({ kind: "policy", schema: policySchema, envelope, signers });
}

function requestOf(changes: Partial<OwnerRequest> = {}): OwnerRequest {
  return {
    v: 1,
    nonce: randomNonce(),
    policy: "results",
    purpose: "read the result",
    recipient: newSigningKey().publicJwk,
    keys: [],
    datasets: [],
    issuedAt: toTimestamp(NOW_MS),
    ...changes,
  };
}

const verify = (
  content: OwnerRequest,
  options: { readonly signer?: typeof owner; readonly policy?: VerifiedObject<Policy> } = {},
) =>
  verifyOwnerRequest({
    envelope: signObject("owner-request", content, options.signer ?? owner),
    policy: options.policy ?? policyOf("results", [owner.keyId]),
    owner: owner.publicJwk,
  });

test("a request that the owner signed for this policy is taken", () => {
  const wanted = requestOf({ keys: [wrapped()] });
  assert.equal(verify(wanted).signer, owner.keyId);
});

test("a request for another policy than the one that is asked is refused", () => {
  const wanted = requestOf({ keys: [wrapped()], policy: "other" });
  assert.throws(() => verify(wanted), { code: "release.owner", message: /policy other/ });
});

test("a request that another key signed is refused, the owner's thumbprint in the policy or not", () => {
  const stranger = newSigningKey();
  const wanted = requestOf({ keys: [wrapped()] });
  for (const ownerOpen of [[owner.keyId], [owner.publicJwk], [stranger.keyId]])
    assert.throws(
      () => verify(wanted, { signer: stranger, policy: policyOf("results", ownerOpen) }),
      { code: "release.owner" },
    );
});

test("a request that was changed after it was signed is refused", () => {
  const envelope = signObject("owner-request", requestOf({ keys: [wrapped()] }), owner);
  const { payload } = signObject("owner-request", requestOf({ keys: [wrapped()] }), owner);
  assert.throws(
    () =>
      verifyOwnerRequest({
        envelope: { ...envelope, payload },
        policy: policyOf("results", [owner.keyId]),
        owner: owner.publicJwk,
      }),
    { code: "release.owner" },
  );
});

function wrapped(): OwnerRequest["keys"][number] {
  return {
    id: "AAAAAAAAAAAAAAAAAAAAAA",
    kekId: "vault/results",
    kekVersion: "00".repeat(16),
    wrapped: "A".repeat(512),
  };
}
