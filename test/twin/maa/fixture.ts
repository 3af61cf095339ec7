import { randomBytes } from "node:crypto";
import { simulatedPlatformOf } from "../../../src/attest/sim/platform.ts";
import { parseMaaJwks } from "../../../src/attest/verify/maa-jwks.ts";
import type { MaaDemands } from "../../../src/attest/verify/maa-check.ts";
import { fromBase64Url, sha256, toBase64, toBase64Url, utf8 } from "../../../src/base/index.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import { createMaaAuthority } from "../../../src/twin/maa/authority.ts";
import { createMaaDouble } from "../../../src/twin/maa/maa-double.ts";
import { simulatedSnpVerifier } from "../../../src/twin/maa/snp.ts";
import { DEFAULT_POLICY, policyHashOf } from "../../../src/twin/maa/token.ts";
import { measurement, NOW_MS, pki } from "../../attest/fixture.ts";

export type Json = Record<string, unknown>;
export const ISSUER = "https://maa.simulation.invalid";
export const PATH = "/attest/SevSnpVm?api-version=2025-06-01";

export const authority = createMaaAuthority({ issuer: ISSUER, nowMs: NOW_MS });
export const failures: unknown[] = [];
export const app = createMaaDouble({
  authority,
  verifiers: { SevSnpVm: simulatedSnpVerifier(pki.ark), TdxVm: null, SgxEnclave: null },
  clock: () => NOW_MS,
  random: (length) => new Uint8Array(randomBytes(length)),
  onFailure: (error) => failures.push(error),
});

export const runtimeBytes = utf8('{"keys":[{"kid":"k","kty":"RSA"}],"nonce":"bm9uY2U"}');
export const hostData = sha256(utf8("the policy of the container"));

/** Evidence of the shared chip that binds `runtime`, as MAA's rule wants it. */
export function evidenceOf(runtime: Uint8Array = runtimeBytes): WireEvidence {
  const reportData = new Uint8Array(64);
  reportData.set(sha256(runtime));
  return simulatedPlatformOf(pki).attest({ measurement, reportData, hostData });
}

/** A request's `report`, with the certificates in PEM. */
export function reportOf(wire: WireEvidence, changes: Json = {}): string {
  const { vcek = "", ask = "" } = wire.collateral;
  const chain = [vcek, ask].map((text) => pemOf(fromBase64Url(text))).join("");
  return toBase64Url(
    utf8(
      JSON.stringify({
        SnpReport: wire.evidence,
        VcekCertChain: toBase64Url(utf8(chain + pemOf(pki.ark))),
        ...changes,
      }),
    ),
  );
}

export const goodBody: Json = {
  report: reportOf(evidenceOf()),
  runtimeData: { data: toBase64Url(runtimeBytes), dataType: "JSON" },
  nonce: "nonce-1",
};

/** Posts to the double as a client would: status and parsed body. */
export async function post(
  body: unknown,
  path = PATH,
): Promise<{ readonly status: number; readonly json: Json }> {
  const response = await app.request(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, json: (await response.json()) as Json };
}

/** What a relying party of the simulation demands, with the keys that the double's /certs gave. */
export async function demandsOf(changes: Partial<MaaDemands> = {}): Promise<MaaDemands> {
  const certs = await app.request("/certs");
  return {
    providers: [
      {
        issuer: ISSUER,
        jwks: parseMaaJwks(new Uint8Array(await certs.arrayBuffer())),
        policy: { hashes: [policyHashOf(DEFAULT_POLICY)] },
      },
    ],
    runtimeData: { kind: "json", bytes: runtimeBytes },
    nonce: { equals: "nonce-1" },
    maxAgeSeconds: 600,
    nowMs: NOW_MS,
    ...changes,
  };
}

/** One certificate in PEM. */
export function pemOf(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
