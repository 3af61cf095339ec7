import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { fromBase64, isPpmlError, toHex } from "../../../src/base/index.ts";
import { snpFormReport, snpFormWire } from "../../../src/attest/sim/snp-form.ts";
import { verifySnpEvidenceUnder } from "../../../src/attest/verify/snp.ts";
import {
  MICROSOFT_UVM_ISSUERS,
  verifyUvmEndorsement,
} from "../../../src/attest/verify/uvm-endorsement.ts";
import { authorityExtensions, extension } from "../../../src/attest/x509/issue-certificate.ts";
import { z } from "zod";
import { milan, NOW_MS, withPart } from "../snp-forms.ts";
import {
  makeUvmEndorsement,
  SIGNED_AT_MS,
  uvmIssuer,
  uvmMeasurement,
  uvmPayload,
} from "../uvm-form.ts";
import type { UvmChanges } from "../uvm-form.ts";
import { skip, vectorBytes, vectorText } from "../vectors.ts";

const verify = (bytes: Uint8Array, issuers: readonly string[] = [uvmIssuer], nowMs = NOW_MS) =>
  verifyUvmEndorsement(bytes, { issuers, nowMs });

const refuses = (
  changes: UvmChanges,
  expected: { message: RegExp; code?: string },
  issuers?: readonly string[],
) =>
  assert.throws(() => verify(makeUvmEndorsement(changes), issuers), {
    name: "PpmlError",
    code: expected.code ?? "attest.not_verified",
    message: expected.message,
  });

test("an endorsement verifies and names issuer, feed, SVN and launch measurement", () => {
  assert.deepEqual(verify(makeUvmEndorsement()), {
    issuer: uvmIssuer,
    feed: "ContainerPlat-AMD-UVM",
    svn: 103,
    launchMeasurement: uvmMeasurement,
    signedAtMs: SIGNED_AT_MS,
  });
});

test("an issuer that is not trusted is refused, Microsoft's own too where it is not named", () => {
  refuses({}, { message: /expected an endorsement by did:x509/ }, MICROSOFT_UVM_ISSUERS);
  refuses({}, { message: /expected an endorsement by/ }, []);
});

test("an endorsement whose chain does not hold the authority of the issuer's did is refused", () => {
  const other = `did:x509:0:sha256:${"A".repeat(43)}::eku:1.3.6.1.4.1.311.76.59.1.2`;
  refuses({ issuer: other }, { message: /do not hold the authority/ }, [other]);
});

test("a did of another form is refused", () => {
  for (const issuer of [
    "did:web:microsoft.com",
    uvmIssuer.replace("::eku:", "::subject:"),
    uvmIssuer.replace("x509:0", "x509:1"),
  ])
    refuses({ issuer }, { code: "attest.unsupported", message: /expected an issuer did:x509/ }, [
      issuer,
    ]);
});

test("a certificate with a wrong usage is refused", () => {
  refuses({ eku: "1.3.6.1.5.5.7.3.1" }, { message: /is not for the usage/ });
  refuses(
    { leafKeyUsage: authorityExtensions(0).slice(0, 1) },
    { message: /is a certificate authority/ },
  );
  const unknown = extension("1.2.3", { critical: true, value: Uint8Array.of(5, 0) });
  refuses({ leafKeyUsage: [unknown] }, { message: /critical extension/ });
});

test("a certificate that had expired when the endorsement says that it was signed is refused", () => {
  refuses({ leafNotAfterMs: SIGNED_AT_MS - 500 }, { message: /is valid from/ });
});

test("an endorsement outlives its certificate, but is not taken before its own time", () => {
  assert.equal(
    verify(makeUvmEndorsement(), [uvmIssuer], SIGNED_AT_MS + 10 * 365 * 86_400_000).svn,
    103,
  );
  assert.throws(() => verify(makeUvmEndorsement(), [uvmIssuer], SIGNED_AT_MS - 1), {
    message: /still to come/,
  });
  assert.throws(() => verify(makeUvmEndorsement(), [uvmIssuer], Number.NaN), {
    code: "attest.not_verified",
  });
});

test("another key's signature, and another algorithm than PSS, are refused", () => {
  const foreign = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  refuses({ signingKey: foreign }, { message: /is not signed by the key of "leaf/ });
  // The signature is of PS384.
  refuses({ algorithm: -37n }, { message: /is not signed/ });
  // RS256, ES256 and none.
  for (const algorithm of [-257n, -7n, 0n])
    refuses({ algorithm }, { code: "attest.unsupported", message: /PS256, PS384 or PS512/ });
});

test("headers and payloads of another form are refused", () => {
  const cases: readonly UvmChanges[] = [
    { payload: "{}" },
    { payload: "[" },
    { payload: uvmPayload({ more: 1 }) },
    { payload: uvmPayload({ "x-ms-sevsnpvm-guestsvn": "104" }) },
    { payload: uvmPayload({ "x-ms-sevsnpvm-guestsvn": "-1" }) },
    {
      payload: uvmPayload({ "x-ms-sevsnpvm-launchmeasurement": toHex(uvmMeasurement.subarray(1)) }),
    },
    ...[0, 2, 3, 4, 5].map((index) => ({
      header: (entries: Parameters<NonNullable<UvmChanges["header"]>>[0]) =>
        entries.toSpliced(index, 1),
    })),
    {
      header: (entries) =>
        entries.with(1, [
          { kind: "int", value: 3n },
          { kind: "int", value: 50n },
        ]),
    },
    {
      header: (entries) =>
        entries.with(2, [
          { kind: "int", value: 33n },
          { kind: "array", items: [] },
        ]),
    },
  ];
  for (const changes of cases)
    refuses(changes, { code: "attest.invalid", message: /UVM endorsement|CBOR/ });
});

test("Evidence with an endorsement of its own measurement verifies, with another it is refused", () => {
  const trust = { snp: milan.trust, uvmIssuers: [uvmIssuer] };
  const run = (measurement: Uint8Array) =>
    verifySnpEvidenceUnder(
      withPart(
        snpFormWire(milan, snpFormReport(milan, 3, { measurement })),
        "uvm",
        makeUvmEndorsement(),
      ),
      { nowMs: NOW_MS, trust },
    );
  assert.equal(run(uvmMeasurement).evidence.uvm?.svn, 103);
  assert.throws(() => run(new Uint8Array(48)), {
    code: "attest.not_verified",
    message: /another utility VM/,
  });
});

test("Microsoft's endorsements verify under Microsoft's did", { skip }, () => {
  const newer = z
    .object({ report: z.object({ snpCACI: z.object({ uvmEndorsements: z.string() }) }) })
    .parse(JSON.parse(vectorText("caci/cleanroom-insecure-virtual-signing-attestation.json")));
  const known = [
    [vectorBytes("caci/uvm-reference-info.cose"), 22, "51068107"],
    [fromBase64(newer.report.snpCACI.uvmEndorsements), 103, "d0c9e2be"],
  ] as const;
  for (const [bytes, svn, prefix] of known) {
    const reference = verify(bytes, MICROSOFT_UVM_ISSUERS);
    assert.deepEqual([reference.svn, reference.feed], [svn, "ContainerPlat-AMD-UVM"]);
    assert.ok(toHex(reference.launchMeasurement).startsWith(prefix));
  }
});

const isRefusal = (error: unknown): boolean =>
  isPpmlError(error, "attest.invalid") ||
  isPpmlError(error, "attest.not_verified") ||
  isPpmlError(error, "attest.unsupported");

test("every flipped byte of an endorsement, and every truncation, is refused", () => {
  const good = makeUvmEndorsement();
  const accepted: number[] = [];
  for (let offset = 0; offset < good.byteLength; offset += 1) {
    const flipped = Uint8Array.from(good);
    flipped[offset] = (flipped[offset] ?? 0) ^ (1 << (offset % 8));
    try {
      verify(flipped);
      accepted.push(offset);
    } catch (error) {
      assert.ok(isRefusal(error), `offset ${offset}: ${String(error)}`);
    }
    assert.throws(() => verify(good.subarray(0, offset)), isRefusal);
  }
  assert.deepEqual(accepted, []);
});

test(
  "in Microsoft's endorsement only the unsigned header's timestamp is without meaning",
  { skip },
  () => {
    const good = vectorBytes("caci/uvm-reference-info.cose");
    // COSE's unprotected header is not signed: it holds a countersignature of 5,213 bytes that is not looked at.
    const name = Buffer.from(good).indexOf("timestamp");
    const insignificant = { from: name, to: name + "timestamp".length + 3 + 5213 };
    const accepted = new Set<number>();
    const flip = (offset: number): void => {
      const flipped = Uint8Array.from(good);
      flipped[offset] = (flipped[offset] ?? 0) ^ 1;
      try {
        verify(flipped, MICROSOFT_UVM_ISSUERS);
        accepted.add(offset);
      } catch (error) {
        assert.ok(isRefusal(error), `offset ${offset}: ${String(error)}`);
      }
    };
    // Every seventh of the timestamp, every one of the rest.
    for (
      let offset = 0;
      offset < good.byteLength;
      offset += offset >= insignificant.from && offset < insignificant.to ? 7 : 1
    )
      flip(offset);
    assert.ok(accepted.size > 500, "control: the timestamp can change");
    for (const offset of accepted)
      assert.ok(offset >= insignificant.from && offset < insignificant.to, `offset ${offset}`);
  },
);

test("any bytes are refused without a crash", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.throws(() => verify(bytes), isRefusal);
    }),
    { numRuns: 200 },
  );
});
