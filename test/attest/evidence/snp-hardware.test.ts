import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { z } from "zod";
import { fromBase64, toHex } from "../../../src/base/index.ts";
import { parseSnpGuestPolicy, parseSnpTcb } from "../../../src/attest/evidence/snp-fields.ts";
import { encodeSnpReport, parseSnpReport } from "../../../src/attest/evidence/snp-report.ts";
import { parseVcekExtensions } from "../../../src/attest/evidence/vcek-extensions.ts";
import { verifySnpSignature } from "../../../src/attest/verify/snp-signature.ts";
import { parseCertificate } from "../../../src/attest/x509/certificate.ts";

const hex = z.string();
const { reports } = z
  .object({
    reports: z.array(
      z.object({
        id: z.string(),
        product: z.string(),
        claims: z.object({
          version: z.number(),
          guestSvn: z.number(),
          debug: z.boolean(),
          smtAllowed: z.boolean(),
          vmpl: z.number(),
          reportData: hex,
          measurement: hex,
          reportId: hex,
          chipId: hex,
        }),
        tcb: z.record(z.string(), z.number().nullable()),
        report: z.string(),
        vcek: z.string(),
      }),
    ),
  })
  .parse(
    JSON.parse(
      readFileSync(new URL("../../vectors/attestation/snp-reports.json", import.meta.url), "utf8"),
    ),
  );

for (const vector of reports)
  describe(`the hardware report ${vector.id}`, () => {
    const bytes = fromBase64(vector.report);
    const report = parseSnpReport(bytes);
    const certificate = parseCertificate(fromBase64(vector.vcek));

    test("parses to the known claims and encodes to its own bytes", () => {
      const guest = parseSnpGuestPolicy(report.policy);
      assert.deepEqual(
        {
          version: report.version,
          guestSvn: report.guestSvn,
          debug: guest.debug,
          smtAllowed: guest.smt,
          vmpl: report.vmpl,
          reportData: toHex(report.reportData),
          measurement: toHex(report.measurement),
          reportId: toHex(report.reportId),
          chipId: toHex(report.chipId),
        },
        vector.claims,
      );
      assert.deepEqual(encodeSnpReport(report), bytes);
    });

    test("agrees with the extensions of its VCEK certificate", () => {
      const chip = parseVcekExtensions(certificate);
      assert.equal(chip.productName, vector.product);
      assert.deepEqual(chip.tcb, vector.tcb);
      assert.deepEqual(parseSnpTcb(report.reportedTcb, report), chip.tcb);
      assert.deepEqual(chip.hwId, report.chipId);
    });

    test("is signed by its VCEK, and by no other bytes or chip", () => {
      const { publicKey } = certificate;
      verifySnpSignature({ bytes, report, publicKey });
      const changed = Uint8Array.from(bytes);
      changed[0x90] = (changed[0x90] ?? 0) ^ 1;
      const refused = { code: "attest.not_verified" };
      assert.throws(
        () => verifySnpSignature({ bytes: changed, report: parseSnpReport(changed), publicKey }),
        refused,
      );
      for (const other of reports.filter(({ id }) => id !== vector.id)) {
        const foreign = parseCertificate(fromBase64(other.vcek)).publicKey;
        assert.throws(() => verifySnpSignature({ bytes, report, publicKey: foreign }), refused);
      }
    });
  });
