import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { concatBytes, utf8 } from "../../../../src/base/index.ts";
import { encodePem } from "../../../../src/attest/sim/pem-write.ts";
import { createSimDcapPki } from "../../../../src/attest/sim/dcap-pki.ts";
import type { SgxReport } from "../../../../src/attest/evidence/sgx-report.ts";
import type { Kind } from "../../dcap-fixture.ts";
import { KINDS, makeCase, NOW_MS, pki, verifyCase } from "../../dcap-fixture.ts";
import type { SimQuoteChanges } from "../../../../src/attest/sim/dcap-quote.ts";

function refusesOf(
  kind: Kind,
  quote: SimQuoteChanges,
  expected: { readonly code: string; readonly message: RegExp },
): void {
  assert.throws(() => verifyCase(makeCase(kind, { quote })), expected);
}

function refusesQe(kind: Kind, qeReport: Partial<SgxReport>, message: RegExp): void {
  refusesOf(kind, { qeReport }, { code: "attest.not_verified", message });
}

for (const kind of KINDS)
  describe(`a quote of ${kind} is refused`, () => {
    test("whose Quoting Enclave has another signer, product, MISCSELECT or ATTRIBUTES", () => {
      refusesQe(kind, { mrSigner: new Uint8Array(32).fill(1) }, /with MRSIGNER/);
      refusesQe(kind, { isvProdId: 77 }, /with ISVPRODID/);
      refusesQe(kind, { miscSelect: 1 }, /masked MISCSELECT/);
      const attributes = Uint8Array.of(0x15, ...new Uint8Array(7), 0xe7, ...new Uint8Array(7));
      attributes[1] = 1;
      refusesQe(kind, { attributes }, /masked ATTRIBUTES/);
    });

    test("whose Quoting Enclave runs in debug mode", () => {
      const attributes = Uint8Array.of(0x13, ...new Uint8Array(15));
      refusesQe(kind, { attributes }, /debug mode/);
    });

    test("whose Quoting Enclave's report binds another key, or has more than the hash", () => {
      refusesQe(kind, { reportData: new Uint8Array(64) }, /does not bind this attestation key/);
      const good = verifyCase(makeCase(kind)).quote.signature.qeReport.reportData;
      const more = concatBytes(good.subarray(0, 32), new Uint8Array(32).fill(1));
      refusesQe(kind, { reportData: more }, /does not bind this attestation key/);
    });

    test("whose QE Authentication Data has another length", () => {
      for (const length of [0, 31, 33])
        refusesOf(
          kind,
          { qeAuthData: new Uint8Array(length) },
          { code: "attest.not_verified", message: /32 bytes of QE Authentication Data/ },
        );
    });

    test("of another QE vendor, or of another kind of attestation key", () => {
      const qeVendorId = new Uint8Array(16);
      refusesOf(
        kind,
        { header: { qeVendorId } },
        { code: "attest.unsupported", message: /QE vendor/ },
      );
      for (const attestationKeyType of [0, 1, 3, 255])
        refusesOf(
          kind,
          { header: { attestationKeyType } },
          { code: "attest.unsupported", message: /key type 2/ },
        );
    });

    test("signed by another attestation key, or by another platform's PCK", () => {
      const other = createSimDcapPki({ seed: new Uint8Array(32).fill(8), nowMs: NOW_MS });
      const { attestation } = other.keys;
      const foreignKey = { ...pki, keys: { ...pki.keys, attestation } };
      const own = verifyCase(makeCase(kind)).quote.signature;
      const foreign = makeCase(kind, { pki: foreignKey });
      const swapped = Uint8Array.from(foreign.quote);
      const at = Buffer.from(swapped).indexOf(
        verifyCase({ ...foreign, pki }).quote.signature.attestationKey,
      );
      swapped.set(own.attestationKey, at);
      assert.throws(() => verifyCase({ ...foreign, pki, quote: swapped }), {
        code: "attest.not_verified",
        message: /does not bind this attestation key/,
      });
      const foreignPck = { ...pki, keys: { ...pki.keys, pck: other.keys.pck } };
      assert.throws(() => verifyCase(makeCase(kind, { pki: foreignPck })), {
        code: "attest.not_verified",
        message: /not signed by the key in the PCK certificate/,
      });
    });

    test("that does not hold its PCK chain, unless the collateral does", () => {
      const certificationData = { type: 3, data: new Uint8Array(404) };
      const options = makeCase(kind, { quote: { certificationData } });
      assert.throws(() => verifyCase(options), {
        code: "attest.unsupported",
        message: /certification data of type 3/,
      });
      const { pck, pckCa, root } = pki.certificates;
      const pckCertificateChain = utf8(encodePem(pck, pckCa, root));
      const collateral = { ...options.collateral, pckCertificateChain };
      assert.equal(verifyCase({ ...options, collateral }).verification.tcbStatus, "UpToDate");
    });
  });

test("an attestation key that is no point of the curve is refused", () => {
  // The QE's report binds it, so that only the import can refuse it.
  const { quote, ...rest } = makeCase("sgx v3");
  const key = new Uint8Array(64).fill(1);
  const at = 48 + 384 + 4 + 64;
  const changed = Uint8Array.from(quote);
  changed.set(key, at);
  assert.throws(() => verifyCase({ ...rest, quote: changed }), { code: "attest.not_verified" });
});
