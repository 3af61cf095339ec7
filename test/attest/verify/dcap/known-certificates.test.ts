import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { toHex } from "../../../../src/base/index.ts";
import type { SimCollateralChanges } from "../../../../src/attest/sim/dcap-collateral.ts";
import { createSimDcapPki } from "../../../../src/attest/sim/dcap-pki.ts";
import type { SimDcapPki } from "../../../../src/attest/sim/dcap-pki.ts";
import { encodePem } from "../../../../src/attest/sim/pem-write.ts";
import {
  INTEL_BODIES,
  INTEL_ROOT_BODY,
} from "../../../../src/attest/verify/dcap/intel-certificates.ts";
import { intelTrustAnchor } from "../../../../src/attest/verify/dcap/intel-root.ts";
import { verifyQuoteUnder } from "../../../../src/attest/verify/dcap/verify-quote.ts";
import { parseCertificate } from "../../../../src/attest/x509/certificate.ts";
import { ECDSA_P256_SHA256, trustAnchorOf, withKnown } from "../../../../src/attest/x509/chain.ts";
import type { TrustAnchor } from "../../../../src/attest/x509/chain.ts";
import { knownCertificates } from "../../../../src/attest/x509/known-certificates.ts";
import { decodePemBody } from "../../../../src/attest/x509/pem.ts";
import { skipWithout } from "../../../shared-data.ts";
import { indexPath } from "../../dcap-vectors.ts";
import { DAY_MS, makeCase, NOW_MS, pki, SEED } from "../../dcap-fixture.ts";

const BEGIN = "-----BEGIN CERTIFICATE-----\n";
const END = "-----END CERTIFICATE-----";
const bodyOf = (der: Uint8Array): string =>
  encodePem(der).slice(BEGIN.length, encodePem(der).indexOf(END));

/** The root of a hierarchy as a trust anchor for which certificates are pinned: all of it, or those given. */
function pinned(of: SimDcapPki, certificates?: readonly Uint8Array[]): TrustAnchor {
  const { root, pckCa, tcbSigner } = of.certificates;
  const anchor = trustAnchorOf(parseCertificate(root));
  const bodies = (certificates ?? [root, pckCa, tcbSigner]).map(bodyOf);
  return withKnown(anchor, knownCertificates(anchor, { bodies, algorithm: ECDSA_P256_SHA256 }));
}

function verifyPinned(
  anchor: TrustAnchor,
  options: {
    readonly pki?: SimDcapPki;
    readonly nowMs?: number;
    readonly collateral?: SimCollateralChanges;
  } = {},
): void {
  const { nowMs = NOW_MS, ...changes } = options;
  for (const kind of ["sgx v3", "tdx v4"] as const)
    verifyQuoteUnder(anchor, { ...makeCase(kind, changes), nowMs });
}

describe("a certificate whose bytes are pinned", () => {
  test("is found by its exact text alone, under its own root", () => {
    const { find, isSigned } = pinned(pki).known;
    const body = bodyOf(pki.certificates.pckCa);
    const found = find(body);
    assert.ok(found !== null && isSigned(found));
    assert.equal(find(body), found);
    for (const other of ["", "\n", body.trimEnd(), `${body}\n`, body.toLowerCase()])
      assert.equal(find(other), null);
    assert.equal(find(bodyOf(pki.certificates.pck)), null);
    assert.ok(
      !isSigned(parseCertificate(pki.certificates.pckCa)),
      "an equal one is another object",
    );
    const plain = trustAnchorOf(parseCertificate(pki.certificates.root));
    assert.equal(plain.known.find(body), null);
  });

  test("verifies as it would without the pin", () => {
    verifyPinned(pinned(pki));
    verifyPinned(pinned(pki), { nowMs: NOW_MS + DAY_MS });
  });

  test("T138: is as if not pinned where the root did not sign it", () => {
    const foreign = createSimDcapPki({ seed: new Uint8Array(32).fill(9), nowMs: NOW_MS });
    const { pckCa, tcbSigner, root } = foreign.certificates;
    const anchor = pinned(pki, [pckCa, tcbSigner, root]);
    for (const der of [pckCa, tcbSigner, root]) assert.equal(anchor.known.find(bodyOf(der)), null);
    const message = /not signed by|is not the pinned one/;
    assert.throws(() => verifyPinned(anchor, { pki: foreign }), {
      code: "attest.not_verified",
      message,
    });
  });

  test("T138: is refused once its issuer revoked it", () => {
    for (const role of ["pckCa", "tcbSigner"] as const) {
      const { serial } = parseCertificate(pki.certificates[role]);
      const collateral = { rootCaCrl: { serials: [serial] } };
      assert.throws(() => verifyPinned(pinned(pki), { collateral }), { code: "attest.revoked" });
    }
  });

  test("T138: is refused outside its validity", () => {
    for (const role of ["pckCa", "tcbSigner"] as const)
      for (const times of [{ notAfterMs: NOW_MS - 1000 }, { notBeforeMs: NOW_MS + 1000 }]) {
        const changed = createSimDcapPki({
          seed: SEED,
          nowMs: NOW_MS,
          change: (current, request) => (current === role ? { ...request, ...times } : request),
        });
        assert.ok(pinned(changed).known.find(bodyOf(changed.certificates[role])) !== null);
        assert.throws(() => verifyPinned(pinned(changed), { pki: changed }), {
          code: "attest.not_verified",
          message: /is valid from/,
        });
      }
  });

  test("T138: stands for no other of its name, key and serial number", () => {
    const longer = createSimDcapPki({
      seed: SEED,
      nowMs: NOW_MS,
      change: (role, request) =>
        role === "pckCa" ? { ...request, notAfterMs: request.notAfterMs + DAY_MS } : request,
    });
    const forged = Uint8Array.from(longer.certificates.pckCa);
    const last = forged.byteLength - 1;
    forged[last] = (forged[last] ?? 0) ^ 1;
    const form = { ...longer, certificates: { ...longer.certificates, pckCa: forged } };
    assert.throws(() => verifyPinned(pinned(pki), { pki: form }), {
      code: "attest.not_verified",
      message: /is not signed by/,
    });
  });

  test("is no authority for other places in a chain", () => {
    const { root, pckCa, pck, tcbSigner } = pki.certificates;
    const anchor = pinned(pki);
    for (const chain of [
      [pck, tcbSigner, root],
      [tcbSigner, root],
      [pckCa, root],
    ] as const) {
      const certificationData = { type: 5, data: Buffer.from(encodePem(...chain)) };
      const options = makeCase("sgx v3", { quote: { certificationData } });
      assert.throws(() => verifyQuoteUnder(anchor, { ...options, nowMs: NOW_MS }), {
        code: /attest\.(?:not_verified|invalid)/,
      });
    }
  });
});

describe("the pinned certificates of Intel", () => {
  const root = new X509Certificate(`${BEGIN}${INTEL_ROOT_BODY}${END}`);

  test("are each signed by the pinned root, as Node sees it too", () => {
    assert.equal(
      root.fingerprint256.replaceAll(":", "").toLowerCase(),
      "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3",
    );
    for (const body of INTEL_BODIES) {
      const certificate = new X509Certificate(`${BEGIN}${body}${END}`);
      assert.ok(certificate.verify(root.publicKey), certificate.subject);
      assert.equal(certificate.issuer, root.subject);
      const found = intelTrustAnchor().known.find(body);
      assert.equal(toHex(found?.spki ?? new Uint8Array()), spkiOf(certificate));
      assert.equal(toHex(decodePemBody(body)), certificate.raw.toString("hex"));
    }
  });

  test(
    "are all that the root signed in the vectors of hardware, and nothing else",
    { skip: skipWithout(indexPath) },
    () => {
      const genuine = new Set<string>();
      for (const pem of certificatesUnder(dirname(indexPath ?? ""))) {
        const certificate = parsed(pem);
        if (certificate?.checkIssued(root) === true && certificate.verify(root.publicKey))
          genuine.add(certificate.raw.toString("hex"));
      }
      const pins = INTEL_BODIES.map((body) => toHex(decodePemBody(body)));
      assert.deepEqual([...genuine].toSorted(), pins.toSorted());
    },
  );
});

function spkiOf(certificate: X509Certificate): string {
  return certificate.publicKey.export({ format: "der", type: "spki" }).toString("hex");
}

function parsed(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null; // Some vectors are damaged on purpose.
  }
}

/** Every certificate in PEM in the files of a folder, in quotes and JSON too. */
function certificatesUnder(folder: string): Set<string> {
  const found = new Set<string>();
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const text = readFileSync(join(entry.parentPath, entry.name), "latin1");
    const plain = text.replaceAll("\\n", "\n").replaceAll("\\r", "").replaceAll("\r", "");
    for (const [pem] of plain.matchAll(
      /-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----/g,
    ))
      found.add(pem);
  }
  return found;
}
