import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromHex, toHex } from "../../../src/base/index.ts";
import { createSimDcapPki, SIM_PLATFORM } from "../../../src/attest/sim/dcap-pki.ts";
import { parseCertificate } from "../../../src/attest/x509/certificate.ts";
import type { Certificate } from "../../../src/attest/x509/certificate.ts";
import { parsePckPlatform, SGX_OID } from "../../../src/attest/x509/sgx-extension.ts";
import type { PckPlatform } from "../../../src/attest/x509/sgx-extension.ts";
import { NOW_MS, pki, SEED } from "../dcap-fixture.ts";

const certificate = parseCertificate(pki.certificates.pck);

/** The certificate with another value of Intel's extension. */
function withValue(value: Uint8Array): Certificate {
  return { ...certificate, extensions: new Map([[SGX_OID, { critical: false, value }]]) };
}

const value = certificate.extensions.get(SGX_OID)?.value ?? new Uint8Array();

/** The extension's value with one run of hex in it replaced by another of the same length. */
function replaced(from: string, to: string): Uint8Array {
  const hex = toHex(value);
  assert.ok(hex.includes(from) && from.length === to.length, from);
  return fromHex(hex.replace(from, to));
}

describe("Intel's extension of a PCK certificate", () => {
  test("gives the platform that it was made for, of either CA", () => {
    assert.deepEqual(parsePckPlatform(certificate), SIM_PLATFORM);
    const processor: PckPlatform = {
      ...SIM_PLATFORM,
      sgxType: "standard",
      pceSvn: 300,
      tcbComponents: SIM_PLATFORM.tcbComponents.map((svn) => 255 - svn),
      platformInstanceId: null,
      configuration: null,
    };
    const other = createSimDcapPki({ seed: SEED, nowMs: NOW_MS, platform: processor });
    assert.deepEqual(parsePckPlatform(parseCertificate(other.certificates.pck)), processor);
    assert.match(other.names.pckCa, /^PCK Processor CA/);
  });

  test("may lack flags of the configuration", () => {
    const partial = {
      ...SIM_PLATFORM,
      configuration: { dynamicPlatform: null, cachedKeys: null, smtEnabled: false },
    };
    const other = createSimDcapPki({ seed: SEED, nowMs: NOW_MS, platform: partial });
    assert.deepEqual(parsePckPlatform(parseCertificate(other.certificates.pck)), partial);
  });

  test("with a member of another number, length or type is refused", () => {
    const prefix = "2a864886f84d010d01";
    for (const [from, to] of [
      // FMSPC (4) under an unknown number, under that of the PCE id (3), and as another type.
      [`060a${prefix}040406`, `060a${prefix}090406`],
      [`060a${prefix}040406`, `060a${prefix}030406`],
      [`060a${prefix}040406`, `060a${prefix}040306`],
      // An unknown SGX type, and a flag that DER does not know.
      [`060a${prefix}050a0101`, `060a${prefix}050a0103`],
      [`060b${prefix}07010101`, `060b${prefix}07010102`],
    ] as const)
      assert.throws(() => parsePckPlatform(withValue(replaced(from, to))), {
        code: "attest.invalid",
      });
  });

  test("cut, prolonged or missing is refused", () => {
    for (let length = 0; length < value.byteLength; length += 1)
      assert.throws(() => parsePckPlatform(withValue(value.subarray(0, length))), {
        code: "attest.invalid",
      });
    assert.throws(() => parsePckPlatform(withValue(new Uint8Array([...value, 0]))), {
      code: "attest.invalid",
    });
    assert.throws(() => parsePckPlatform({ ...certificate, extensions: new Map() }), {
      message: /has no extension/,
    });
  });
});
