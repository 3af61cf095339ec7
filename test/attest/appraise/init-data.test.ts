import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { checkInitData } from "../../../src/attest/appraise/init-data.ts";
import type { Evidence } from "../../../src/attest/evidence/evidence.ts";
import { verifySimulatedEvidence } from "../../../src/attest/sim/verify-sim.ts";
import { isPpmlError, sha256 } from "../../../src/base/index.ts";
import type { ErrorCode } from "../../../src/base/index.ts";
import { NOW_MS, pki, signedWire } from "../fixture.ts";

const digestOf = (hash: string, body: string): Uint8Array =>
  new Uint8Array(createHash(hash).update(body).digest());

function evidenceWith(hostData: Uint8Array): Evidence {
  const options = { simulationRoot: pki.ark, nowMs: NOW_MS };
  return verifySimulatedEvidence(signedWire({ hostData }), options).evidence;
}

function refuses(code: ErrorCode, work: () => unknown): void {
  assert.throws(work, (error) => isPpmlError(error, code));
}

const toml = (algorithm: string): string =>
  `version = "0.1.0"\nalgorithm = ${algorithm}\n\n[data]\n"policy.rego" = '''\nalgorithm = "sha512"\n'''\n`;

describe("init-data", () => {
  test("it is bound by HOST_DATA, cut or whole, by the hash that it names", () => {
    for (const [text, hash] of [
      ['"sha256"', "sha256"],
      ['"sha-384"', "sha384"],
      ["'sha512'", "sha512"],
    ] as const) {
      const body = toml(text);
      const digest = digestOf(hash, body);
      const evidence = evidenceWith(digest.slice(0, 32));
      assert.deepEqual(checkInitData(evidence, { format: "toml", body }), digest);
    }
    const body = '{"algorithm":"sha384","version":"0.1.0","data":{}}';
    const evidence = evidenceWith(digestOf("sha384", body).slice(0, 32));
    checkInitData(evidence, { format: "json", body });
  });

  test("it fills MRCONFIGID, CONFIGID and PCR 8 as their sizes demand", () => {
    const body = toml('"sha256"');
    const digest = digestOf("sha256", body);
    const filled = (length: number): Uint8Array => {
      const bytes = new Uint8Array(length);
      bytes.set(digest);
      return bytes;
    };
    const pcr8 = sha256(new Uint8Array(32), digest);
    // Only the members that are read: whole Evidence of each kind is tried with its verifiers.
    const kinds = [
      { type: "tdx", quote: { body: { mrConfigId: filled(48) } } },
      { type: "sgx", quote: { body: { configId: filled(64) } } },
      { type: "az-snp-vtpm", vtpm: { pcrs: new Map([[8, pcr8]]) } },
    ];
    for (const kind of kinds) checkInitData(kind as unknown as Evidence, { format: "toml", body });
    const without = { type: "az-tdx-vtpm", vtpm: { pcrs: new Map() } } as unknown as Evidence;
    refuses("attest.not_verified", () => checkInitData(without, { format: "toml", body }));
  });

  test("T151: other init-data than the Evidence binds, and such that names no hash, is refused", () => {
    const body = toml('"sha384"');
    const evidence = evidenceWith(digestOf("sha384", body).slice(0, 32));
    refuses("attest.not_verified", () =>
      checkInitData(evidence, { format: "toml", body: `${body} ` }),
    );
    refuses("attest.not_verified", () =>
      checkInitData(evidenceWith(new Uint8Array(32)), { format: "toml", body }),
    );
    for (const bad of [
      { format: "toml", body: toml('"md5"') },
      { format: "toml", body: '[data]\nalgorithm = "sha384"\n' },
      { format: "toml", body: "" },
      { format: "json", body: '{"algorithm":1}' },
    ])
      refuses("attest.invalid", () => checkInitData(evidence, bad));
    refuses("attest.unsupported", () => checkInitData(evidence, { format: "yaml", body }));
  });
});
