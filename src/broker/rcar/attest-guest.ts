import {
  equalBytes,
  fromBase64Url,
  isPpmlError,
  PpmlError,
  sha256,
  toHex,
} from "../../base/index.ts";
import { appraise } from "../../attest/appraise/appraise.ts";
import type { AttestationResult } from "../../attest/appraise/appraise.ts";
import { boundData } from "../../attest/appraise/binding.ts";
import { maaClaims } from "../../attest/appraise/claims.ts";
import { checkInitData } from "../../attest/appraise/init-data.ts";
import { issueEar } from "../../attest/ear/issue-ear.ts";
import type { Evidence } from "../../attest/evidence/evidence.ts";
import { wireOfCocoEvidence } from "../../attest/evidence/coco-evidence.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { jwkThumbprint } from "../../format/jwk.ts";
import { rcarPublicKeyOf, rcarRuntimeBytes } from "../../format/rcar.ts";
import type { RcarAttest, RcarRuntimeData } from "../../format/rcar.ts";
import type { VerifiedObject } from "../../format/signed-object.ts";
import { checkAttestation } from "../../release/check-attestation.ts";
import { boundByGuest } from "../../release/guest-binding.ts";
import type { GuestBinding } from "../../release/guest-binding.ts";
import type { Policy } from "../../release/policy.ts";
import type { BrokerState } from "../broker-state.ts";
import { isInForce, policiesOfResources } from "../policies.ts";
import { evidenceRoots, verifyFor } from "../verify-evidence.ts";
import { joinRefusals, logGuestDecision, refusalOf } from "./rcar-log.ts";
import { SESSION_TTL_SECONDS } from "./sessions.ts";
import type { AttestedGuest } from "./sessions.ts";

const VERIFIER_ID = { developer: "ppml", build: "ppml broker" } as const;

/** What was found on the way; a refusal's entry carries as much of it as there is. */
type Found = {
  policy: VerifiedObject<Policy> | null;
  result: AttestationResult | null;
  initData: Uint8Array | null;
};

/**
 * Verifies a guest's Evidence against its session's challenge, and gives its EAR token. At least one
 * policy in force that lists resources has to accept the Evidence. The nonce is spent first; grant or
 * refusal stands in the log before the answer leaves.
 * @throws broker.session release.nonce release.binding release.denied format.invalid attest.*
 */
export async function attestGuest(
  state: BrokerState,
  request: { readonly sessionId: string; readonly attest: RcarAttest },
): Promise<string> {
  const { sessionId, attest } = request;
  const { nonce, "tee-pubkey": teeKey } = attest["runtime-data"];
  const { tee } = state.sessions.spend(sessionId, nonce, state.clock());
  const runtimeData: RcarRuntimeData = { nonce, "tee-pubkey": teeKey, "additional-evidence": "" };
  const found: Found = { policy: null, result: null, initData: null };
  const asked = {
    request: {
      kind: "attestation" as const,
      digest: toHex(sha256(rcarRuntimeBytes(runtimeData))),
    },
    name: tee,
    purpose: "attestation of a guest",
    encryptionKey: jwkThumbprint(teeKey),
    kekId: null,
  };
  let wire: WireEvidence | null = null;
  try {
    wire = readEvidence(tee, attest);
    const guest = await verifyGuest(state, { wire, tee, runtimeData, attest, found });
    const token = await earOf(state, { guest, runtimeData, found });
    const { evidenceDigest } = guest;
    const granted = { ...asked, ...found, evidenceDigest, refusal: null };
    await logGuestDecision(state, granted, () => requireInForce(state, found.policy));
    state.sessions.attested(sessionId, guest, token);
    return token;
  } catch (error) {
    if (isPpmlError(error))
      await logGuestDecision(state, {
        ...asked,
        ...found,
        evidenceDigest: digestOf(wire),
        refusal: error,
      });
    throw error;
  }
}

function readEvidence(tee: string, attest: RcarAttest): WireEvidence {
  const evidence = attest["tee-evidence"];
  rcarPublicKeyOf(attest["runtime-data"]["tee-pubkey"]);
  if (evidence.additional_evidence !== "")
    throw new PpmlError(
      "attest.unsupported",
      "expected no additional evidence: Evidence of further devices is not verified here",
    );
  return wireOfCocoEvidence(tee, evidence.primary_evidence);
}

async function verifyGuest(
  state: BrokerState,
  options: {
    readonly wire: WireEvidence;
    readonly tee: string;
    readonly runtimeData: RcarRuntimeData;
    readonly attest: RcarAttest;
    readonly found: Found;
  },
): Promise<AttestedGuest> {
  const { wire, tee, runtimeData, attest, found } = options;
  const complete = await state.complete(wire);
  const evidence = await verifyFor(evidenceRoots(state), complete, state.clock());
  const binding: GuestBinding = { kind: "rcar", runtimeData };
  requireBound(evidence.evidence, binding);
  const initData = attest["init-data"] ?? null;
  if (initData !== null) found.initData = checkInitData(evidence.evidence, initData);
  const guest: AttestedGuest = { tee, evidence, evidenceDigest: digestOf(wire), binding };
  requireAcceptance(state, { guest, runtimeData, found });
  return guest;
}

type Accepted = {
  readonly guest: AttestedGuest;
  readonly runtimeData: RcarRuntimeData;
  readonly found: Found;
};

/** A guest that no policy accepts gets no token. @throws release.denied attest.simulated */
function requireAcceptance(state: BrokerState, options: Accepted): void {
  const { guest, runtimeData, found } = options;
  const { evidence, binding } = guest;
  const { mode } = state.db.identity;
  const reportData = boundByGuest(evidence.evidence, binding);
  const refusals: PpmlError[] = [];
  for (const policy of policiesOfResources(state.db, null)) {
    const { appraisal, release } = policy.payload;
    if (appraisal === null || release === null) continue;
    const result = appraise({ evidence, policy: appraisal, reportData, nowMs: state.clock() });
    const refusal = refusalOf(() => {
      checkAttestation({ result, runtimeData, rules: { appraisal, release }, mode });
    });
    found.policy = policy;
    found.result = result;
    if (refusal === null) return;
    refusals.push(refusal);
  }
  throw joinRefusals(
    refusals,
    new PpmlError(
      "release.denied",
      "no policy in force lists a resource: list some in a policy and apply it",
    ),
  );
}

/** The policy may have been replaced while the token was made. @throws release.policy */
function requireInForce(state: BrokerState, policy: Found["policy"]): void {
  if (policy === null || !isInForce(state.db, { name: policy.payload.name, digest: policy.digest }))
    throw new PpmlError("release.policy", "the policy changed meanwhile: attest again");
}

function requireBound(evidence: Evidence, binding: GuestBinding): void {
  if (!equalBytes(boundData(evidence), boundByGuest(evidence, binding)))
    throw new PpmlError(
      "release.binding",
      "the Evidence's report data is not the digest of this nonce and key: let the guest attest again",
    );
}

function earOf(state: BrokerState, options: Accepted): Promise<string> {
  const { guest, runtimeData, found } = options;
  const { tee, evidence } = guest;
  const { simulated } = evidence;
  return issueEar({
    signer: { algorithm: "ES256", ...state.earKey },
    verifierId: VERIFIER_ID,
    cpu: {
      // AR4SI: 2 of hardware and configuration, 3 of executables: as the policy demands them.
      vector: simulated ? {} : { hardware: 2, configuration: 2, executables: 3 },
      policyId: found.policy?.payload.name ?? "none",
      tee,
      claims: maaClaims({ evidence, runtimeData }),
      runtimeData,
      reportData: toHex(boundData(evidence.evidence)),
      initData: found.initData === null ? null : toHex(found.initData),
    },
    status: "of-the-vector",
    simulated,
    lifetimeSeconds: SESSION_TTL_SECONDS,
    nowMs: state.clock(),
  });
}

/** Of the bytes that were sent, as far as they could be read at all. */
function digestOf(wire: WireEvidence | null): string {
  return toHex(sha256(wire === null ? new Uint8Array() : fromBase64Url(wire.evidence)));
}
