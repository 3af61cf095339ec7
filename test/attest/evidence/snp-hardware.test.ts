import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseSnpGuestPolicy, parseSnpTcbOf } from "../../../src/attest/evidence/snp-fields.ts";
import { snpProductOfCpuid, snpProductOfName } from "../../../src/attest/evidence/snp-fields.ts";
import { encodeSnpReport, parseSnpReport } from "../../../src/attest/evidence/snp-report.ts";
import {
  parseVcekExtensions,
  parseVlekExtensions,
} from "../../../src/attest/evidence/vcek-extensions.ts";
import { verifySnpSignature } from "../../../src/attest/verify/snp-signature.ts";
import { parseCertificate } from "../../../src/attest/x509/certificate.ts";
import type { Certificate } from "../../../src/attest/x509/certificate.ts";
import { parsePemCertificates } from "../../../src/attest/x509/pem.ts";
import { toHex } from "../../../src/base/index.ts";
import { skip, vectorBytes, vectorIndex, vectorText } from "../vectors.ts";
import type { SnpVector } from "../vectors.ts";

/** A TCB_VERSION as the index prints it: its bytes in the report's order. */
const tcbText = (tcb: bigint): string =>
  tcb.toString(16).padStart(16, "0").match(/../g)?.toReversed().join("") ?? "";

function certificateOf(file: string): Certificate {
  const [first] = parsePemCertificates(vectorText(file));
  return parseCertificate(first ?? new Uint8Array());
}

test(
  "the index lists hardware reports of versions 2, 3 and 5, of VCEKs and a VLEK",
  { skip },
  () => {
    const kinds = vectorIndex.snp.map(({ kind, parsed }) => `${kind} ${parsed.signingKey}`);
    assert.deepEqual([...new Set(kinds)].sort(), [
      "snp-v2 VCEK",
      "snp-v3 VCEK",
      "snp-v3 VLEK",
      "snp-v5 VCEK",
    ]);
  },
);

for (const vector of vectorIndex.snp)
  describe(`the hardware report ${vector.id}`, () => {
    const bytes = vectorBytes(vector.file);
    const report = parseSnpReport(bytes);
    const expected = vector.parsed;

    test("parses to the known fields and encodes to its own bytes", () => {
      const guest = parseSnpGuestPolicy(report.policy);
      assert.deepEqual(
        {
          version: report.version,
          guestSvn: report.guestSvn,
          policy: `0x${report.policy.toString(16)}`,
          debug: guest.debug,
          smtAllowed: guest.smt,
          migrateMA: guest.migrateMa,
          singleSocket: guest.singleSocket,
          familyId: toHex(report.familyId),
          imageId: toHex(report.imageId),
          vmpl: report.vmpl,
          sigAlgo: report.signatureAlgo,
          platformInfo: `0x${report.platformInfo.toString(16)}`,
          reportData: toHex(report.reportData),
          measurement: toHex(report.measurement),
          hostData: toHex(report.hostData),
          idKeyDigest: toHex(report.idKeyDigest),
          authorKeyDigest: toHex(report.authorKeyDigest),
          reportId: toHex(report.reportId),
          reportIdMa: toHex(report.reportIdMa),
          chipId: toHex(report.chipId),
          currentTcb: tcbText(report.currentTcb),
          reportedTcb: tcbText(report.reportedTcb),
          committedTcb: tcbText(report.committedTcb),
          launchTcb: tcbText(report.launchTcb),
          authorKeyEn: report.authorKeyEn,
          maskChipKey: report.maskChipKey,
          signingKey: report.signingKey.toUpperCase(),
          cpuid:
            report.cpuid === null
              ? undefined
              : {
                  family: report.cpuid.famId,
                  model: report.cpuid.modId,
                  stepping: report.cpuid.step,
                },
        },
        { ...expected, cpuid: expected.cpuid },
      );
      assert.deepEqual(encodeSnpReport(report), bytes);
    });

    const { endorsement } = vector;
    if (endorsement === undefined) return;
    const certificate = certificateOf(endorsement.file);

    test("agrees with the extensions of its key's certificate", () => {
      const { ext } = endorsement;
      const chip =
        endorsement.type === "VCEK"
          ? parseVcekExtensions(certificate)
          : parseVlekExtensions(certificate);
      assert.equal(chip.productName, ext.product);
      assert.deepEqual(chip.tcb, {
        bootloader: ext.blSPL,
        tee: ext.teeSPL,
        snp: ext.snpSPL,
        microcode: ext.ucodeSPL,
        fmc: ext.fmcSPL,
      });
      const product = snpProductOfName(chip.productName);
      assert.deepEqual(parseSnpTcbOf(report.reportedTcb, product), chip.tcb);
      if (report.cpuid !== null) assert.equal(snpProductOfCpuid(report.cpuid), product);
      if ("hwId" in chip) assert.deepEqual(chip.hwId, report.chipId);
      else assert.equal(chip.cspId, ext.cspId);
    });

    test("is signed by its key, and by no other bytes or chip", () => {
      const { publicKey } = certificate;
      verifySnpSignature({ bytes, report, publicKey });
      const changed = Uint8Array.from(bytes);
      changed[0x90] = (changed[0x90] ?? 0) ^ 1;
      const refused = { code: "attest.not_verified" };
      assert.throws(
        () => verifySnpSignature({ bytes: changed, report: parseSnpReport(changed), publicKey }),
        refused,
      );
      for (const foreign of otherKeys(vector, certificate))
        assert.throws(
          () => verifySnpSignature({ bytes, report, publicKey: foreign.publicKey }),
          refused,
        );
    });
  });

function keyOfType(type: "VCEK" | "VLEK"): Certificate {
  const found = vectorIndex.snp.find(({ endorsement }) => endorsement?.type === type);
  return certificateOf(found?.endorsement?.file ?? "");
}

function otherKeys(vector: SnpVector, own: Certificate): Certificate[] {
  return vectorIndex.snp
    .filter(({ id }) => id !== vector.id)
    .flatMap(({ endorsement }) =>
      endorsement === undefined ? [] : [certificateOf(endorsement.file)],
    )
    .filter(({ publicKey }) => !publicKey.equals(own.publicKey));
}

test("a VCEK is not read as a VLEK, nor a VLEK as a VCEK", { skip }, () => {
  assert.throws(() => parseVcekExtensions(keyOfType("VLEK")), { code: "attest.invalid" });
  assert.throws(() => parseVlekExtensions(keyOfType("VCEK")), { code: "attest.invalid" });
});

test("a report's zero bytes of every vector are where the parser demands them", { skip }, () => {
  // A reserved byte that is not zero is refused: every vector has none, so the parser can be strict.
  for (const { file } of vectorIndex.snp) {
    const bytes = vectorBytes(file);
    bytes[0x18b] = 1;
    assert.throws(() => parseSnpReport(bytes), { code: "attest.invalid", message: /0x18b/ });
  }
});
