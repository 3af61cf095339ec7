import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { concatBytes, equalBytes, sha256 } from "../../../../src/base/index.ts";
import { parseDcapQuote } from "../../../../src/attest/evidence/dcap-quote.ts";
import { parseIntelChain } from "../../../../src/attest/verify/dcap/intel-chain.ts";
import { intelTrustAnchor } from "../../../../src/attest/verify/dcap/intel-root.ts";
import { verifyQuoteSignature } from "../../../../src/attest/verify/dcap/qe-report.ts";
import { parseCertificate } from "../../../../src/attest/x509/certificate.ts";
import {
  ECDSA_P256_SHA256,
  trustAnchorOf,
  verifyChainBelow,
} from "../../../../src/attest/x509/chain.ts";
import type { TrustAnchor } from "../../../../src/attest/x509/chain.ts";
import { checkNotRevoked, parseCrl, verifyCrl } from "../../../../src/attest/x509/crl.ts";
import { importP256Point, verifyP256Raw } from "../../../../src/attest/x509/p256.ts";
import { parsePemChain } from "../../../../src/attest/x509/pem.ts";
import { parsePckPlatform } from "../../../../src/attest/x509/sgx-extension.ts";
import { sharedPath, skipWithout } from "../../../shared-data.ts";

const folder = sharedPath("vectors", "attestation", "intel-qvl-sample");
const NOW_MS = Date.UTC(2022, 0, 1);
const algorithm = ECDSA_P256_SHA256;

/**
 * What Intel's Quote Verification Library ships as its sample, under test roots of its own. It is
 * without root CRL, TCB info and QE identity, so that the parts are verified one by one.
 */
describe("the sample of Intel's library", { skip: skipWithout(folder) }, () => {
  for (const tee of ["sgx", "tdx"] as const)
    test(`${tee}: chain, PCK CRL, QE report and quote hold under its root, and not under Intel's`, () => {
      const read = (name: string): Uint8Array =>
        new Uint8Array(readFileSync(join(folder ?? "", tee, name)));
      const [rootDer = new Uint8Array()] = parsePemChain(read("trustedRootCaCert.pem"));
      const root = trustAnchorOf(parseCertificate(rootDer));
      const { leaf, below } = pckChain(root, read);
      verifyChainBelow({ anchor: root, certificates: below, algorithm, nowMs: NOW_MS });
      const [authority = leaf] = below;
      const crl = parseCrl(read("intermediateCaCrl.der"));
      const issuer = { name: authority.subject, key: authority.publicKey };
      verifyCrl(crl, { issuer, algorithm, nowMs: NOW_MS, what: "the sample's CRL" });
      checkNotRevoked(leaf, crl);
      assert.equal(parsePckPlatform(leaf).fmspc.byteLength, 6);
      const quote = parseDcapQuote(read("quote.dat"));
      assert.equal(quote.tee, tee);
      const { signature } = quote;
      const { qeReportBytes, qeReportSignature, attestationKey, qeAuthData } = signature;
      assert.ok(verifyP256Raw(qeReportBytes, leaf.publicKey, qeReportSignature));
      const bound = concatBytes(sha256(attestationKey, qeAuthData), new Uint8Array(32));
      assert.ok(equalBytes(signature.qeReport.reportData, bound));
      verifyQuoteSignature(quote.signedBytes, {
        key: importP256Point(attestationKey),
        signature: signature.quoteSignature,
      });
      assert.throws(() => pckChain(intelTrustAnchor(), read), {
        code: "attest.not_verified",
        message: /a root .* that is not the pinned one/,
      });
    });
});

/** The PCK's chain, leaf first, whatever the order of the sample's file. */
function pckChain(anchor: TrustAnchor, read: (name: string) => Uint8Array) {
  const text = (name: string): string => Buffer.from(read(name)).toString("latin1").trim();
  const certificates = text("pckSignChain.pem").split(/(?<=-----END CERTIFICATE-----)\s*/);
  const root = text("trustedRootCaCert.pem");
  const authorities = certificates.filter((pem) => pem.trim() !== root);
  const chain = [text("pckCert.pem"), ...authorities, root].map((pem) => `${pem}\n`).join("");
  return parseIntelChain(Buffer.from(chain), {
    anchor,
    authorities: 1,
    what: "the sample's chain",
  });
}
