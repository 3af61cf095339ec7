import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { appraise } from "../../src/attest/appraise/appraise.ts";
import type { AttestationResult } from "../../src/attest/appraise/appraise.ts";
import { simulationPolicy } from "../../src/attest/appraise/policy.ts";
import type { AppraisalPolicy } from "../../src/attest/appraise/policy.ts";
import { createSimulationPki } from "../../src/attest/sim/pki.ts";
import { simulatedPlatformOf } from "../../src/attest/sim/platform.ts";
import { verifySimulatedEvidence } from "../../src/attest/sim/verify-sim.ts";
import { concatBytes, fromHex, sha384 } from "../../src/base/index.ts";
import { encodeJcs } from "../../src/format/jcs.ts";
import { jwkThumbprint, signingKeyOf } from "../../src/format/jwk.ts";
import { rsaPublicJwkSchema } from "../../src/format/skr/release-key.ts";
import type { KekRuntimeData } from "../../src/format/skr/release-key.ts";
import { releasePolicyFor } from "../../src/release/policy.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);
export const MEASUREMENT = "a1".repeat(48);
export const RELEASE_POLICY = releasePolicyFor({ mode: "simulation", measurements: [MEASUREMENT] });

const pki = createSimulationPki({ nowMs: NOW_MS });
const platform = simulatedPlatformOf(pki);

/** A TEE's RSA key that receives a KEK, and the runtime data that name it. */
export type KekTee = { readonly privateKey: KeyObject; readonly runtimeData: KekRuntimeData };

/** Makes the keys of a TEE that asks for a KEK. */
export function newKekTee(): KekTee {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 3072 });
  const { kty, n, e } = publicKey.export({ format: "jwk" });
  const jwk = rsaPublicJwkSchema.parse({ kty, n, e });
  const signing = signingKeyOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);
  return {
    privateKey,
    runtimeData: {
      nonce: "n".repeat(43),
      "tee-pubkey": jwk,
      keys: [
        { ...jwk, kid: jwkThumbprint(jwk), key_ops: ["encrypt"] },
        { ...signing.publicJwk, kid: signing.keyId, use: "sig" },
      ],
      "job-digest": "0".repeat(64),
    },
  };
}

/** What a TEE of this measurement gets by attesting for these runtime data. */
export function attested(
  runtimeData: KekRuntimeData,
  measurement = MEASUREMENT,
): { readonly result: AttestationResult; readonly appraisal: AppraisalPolicy } {
  const reportData = concatBytes(sha384(encodeJcs(runtimeData)), new Uint8Array(16));
  const wire = platform.attest({ measurement: fromHex(measurement), reportData });
  const evidence = verifySimulatedEvidence(wire, { simulationRoot: platform.root, nowMs: NOW_MS });
  const appraisal = simulationPolicy([measurement]);
  return {
    result: appraise({ evidence, policy: appraisal, reportData, nowMs: evidence.verifiedAt }),
    appraisal,
  };
}
