import { createPublicKey } from "node:crypto";
import { PpmlError } from "../base/index.ts";
import type { AttestationResult } from "../attest/appraise/appraise.ts";
import type { AppraisalPolicy } from "../attest/appraise/policy.ts";
import { refusePublishedKey } from "../attest/verify/published.ts";
import { encodeJcs } from "../format/jcs.ts";
import { ecPublicKeyOf, jwkThumbprint } from "../format/jwk.ts";
import type { Mode } from "../format/kek.ts";
import type { KeyHsmWrap } from "../format/skr/key-hsm.ts";
import { skrPolicyDigest } from "../format/skr/release-key.ts";
import type { KekRuntimeData } from "../format/skr/release-key.ts";
import type { KekInfo, KekRelease } from "../key/vault.ts";
import { bindsExactly } from "./bound-data.ts";
import { checkAttestation } from "./check-attestation.ts";

/**
 * Decides whether a version of an exportable KEK may leave the vault for the TEE's key that the
 * runtime data name: the Evidence's appraisal accepted it, binds exactly these data, and what it
 * claims meets the KEK's own release policy. There is no job policy, no purpose and no expiry in
 * this: whoever has the KEK has it. That the nonce is open is the caller's to check and to spend.
 * @throws release.binding release.denied attest.simulated attest.denied key.not_permitted
 */
export function releaseKek(options: {
  readonly result: AttestationResult;
  /** The policy that the Evidence was appraised under. */
  readonly appraisal: AppraisalPolicy;
  readonly runtimeData: KekRuntimeData;
  readonly kek: KekInfo;
  readonly kekVersion: string;
  readonly wrap: KeyHsmWrap;
  readonly mode: Mode;
}): KekRelease {
  const { result, appraisal, runtimeData, kek, kekVersion, wrap, mode } = options;
  const { releasePolicy } = kek;
  if (releasePolicy === null)
    throw new PpmlError(
      "key.not_permitted",
      `the KEK ${kek.kekId} is unwrap-only: it never leaves`,
    );
  if (!bindsExactly(result, encodeJcs(runtimeData)))
    throw binding("the Evidence's report data is not the digest of the runtime data that was sent");
  checkKeys(runtimeData);
  checkAttestation({ result, runtimeData, rules: { appraisal, release: releasePolicy }, mode });
  const decision: Omit<KekRelease, KekReleaseBrand> = {
    mode,
    kekId: kek.kekId,
    kekVersion,
    policyDigest: skrPolicyDigest(releasePolicy),
    target: { keyId: runtimeData.keys[0].kid, jwk: runtimeData["tee-pubkey"] },
    wrap,
    nonce: runtimeData.nonce,
    attestation: result.data,
  };
  // The only place where one is made: test/release/decide-kek.test.ts looks for others.
  return Object.freeze(decision) as KekRelease;
}

type KekReleaseBrand = Exclude<keyof KekRelease, string>;

function checkKeys(runtimeData: KekRuntimeData): void {
  const [encryption, signing] = runtimeData.keys;
  const target = runtimeData["tee-pubkey"];
  const id = jwkThumbprint(target);
  if (encryption.kid !== id || jwkThumbprint(encryption) !== id)
    throw binding("tee-pubkey, the first of the keys and its kid have to be the same key");
  const { kty, crv, x, y } = signing;
  if (jwkThumbprint(signing) !== signing.kid)
    throw binding("the signing key has to be under its thumbprint as kid");
  refusePublishedKey(createPublicKey({ key: { ...target }, format: "jwk" }));
  refusePublishedKey(ecPublicKeyOf({ kty, crv, x, y }));
}

function binding(why: string): PpmlError {
  return new PpmlError(
    "release.binding",
    `${why}: let the TEE attest with keys of its own, for a new nonce`,
  );
}
