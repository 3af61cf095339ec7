import { simulatedPlatformOf } from "../../../src/attest/sim/platform.ts";
import { createSimulationPki } from "../../../src/attest/sim/pki.ts";
import { certificatePem } from "../../../src/attest/x509/server-certificate.ts";
import { fromBase64Url, fromHex, sha256, toBase64Url, utf8 } from "../../../src/base/index.ts";
import { encodeJcs } from "../../../src/format/jcs.ts";
import type { KekRuntimeData } from "../../../src/format/skr/release-key.ts";
import type { SkrPolicy } from "../../../src/format/skr/skr-policy.ts";
import { createMaaDouble } from "../../../src/twin/maa/maa-double.ts";
import { openMaaAuthority } from "../../../src/twin/maa/service.ts";
import { simulatedSnpVerifier } from "../../../src/twin/maa/snp.ts";
import { MEASUREMENT } from "../../release/kek-fixture.ts";
import type { KeyVaultTwin } from "./fixture.ts";

export const MAA_HOST = "maa.attest.azure.net";
export const MAA_ISSUER = "https://maa.attest.simulation.invalid";

/** The policy that a TEE of this measurement meets by a token of the double of Azure Attestation. */
export function maaPolicy(measurement = MEASUREMENT, authority = MAA_ISSUER): SkrPolicy {
  return {
    version: "1.0.0",
    anyOf: [
      {
        authority,
        allOf: [
          { claim: "x-ms-attestation-type", equals: "sevsnpvm" },
          { claim: "x-ms-sevsnpvm-launchmeasurement", equals: measurement },
          { claim: "x-ms-sevsnpvm-is-debuggable", equals: false },
        ],
      },
    ],
  };
}

const pkis = new WeakMap<KeyVaultTwin, ReturnType<typeof createSimulationPki>>();

/** Azure Attestation's double of a twin, which accepts one simulated chip. */
export function maaAppOf(twin: KeyVaultTwin) {
  const pki = pkis.get(twin) ?? createSimulationPki({ nowMs: twin.time.nowMs });
  pkis.set(twin, pki);
  const { state, clock, random } = twin.base;
  const app = createMaaDouble({
    authority: openMaaAuthority(state, { host: MAA_HOST, nowMs: clock() }),
    verifiers: { SevSnpVm: simulatedSnpVerifier(pki.ark), TdxVm: null, SgxEnclave: null },
    clock,
    random,
    onFailure: (error) => {
      throw error;
    },
  });
  return { app, pki };
}

/** SevSnpVm's request of a TEE that binds these bytes. */
export function snpRequest(
  twin: KeyVaultTwin,
  bound: { readonly runtime: Uint8Array; readonly measurement?: string },
): Readonly<Record<string, unknown>> {
  const { pki } = maaAppOf(twin);
  const reportData = new Uint8Array(64);
  reportData.set(sha256(bound.runtime));
  const measurement = fromHex(bound.measurement ?? MEASUREMENT);
  const wire = simulatedPlatformOf(pki).attest({ measurement, reportData });
  const { vcek = "", ask = "" } = wire.collateral;
  const chain = [vcek, ask].map((text) => certificatePem(fromBase64Url(text))).join("");
  const report = { SnpReport: wire.evidence, VcekCertChain: toBase64Url(utf8(chain)) };
  return {
    report: toBase64Url(utf8(JSON.stringify(report))),
    runtimeData: { data: toBase64Url(bound.runtime), dataType: "JSON" },
  };
}

/** A token of the double of Azure Attestation over runtime data. */
export async function maaToken(
  twin: KeyVaultTwin,
  runtimeData: KekRuntimeData,
  measurement?: string,
): Promise<string> {
  const runtime = encodeJcs(runtimeData);
  const { app } = maaAppOf(twin);
  const response = await app.request("/attest/SevSnpVm?api-version=2025-06-01", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(
      snpRequest(twin, { runtime, ...(measurement === undefined ? {} : { measurement }) }),
    ),
  });
  const { token } = (await response.json()) as { readonly token: string };
  return token;
}
