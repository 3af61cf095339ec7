import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError } from "../../../../src/base/index.ts";
import {
  DCAP_COLLATERAL_MEMBERS,
  parseQuoteCollateralV3,
} from "../../../../src/attest/collateral/dcap-collateral.ts";
import type { DcapCollateral } from "../../../../src/attest/collateral/dcap-collateral.ts";
import { createDcapCache } from "../../../../src/attest/verify/dcap/cache.ts";
import { intelTrustAnchor } from "../../../../src/attest/verify/dcap/intel-root.ts";
import { verifyQuoteUnder } from "../../../../src/attest/verify/dcap/verify-quote.ts";
import { parseCertificate } from "../../../../src/attest/x509/certificate.ts";
import { trustAnchorOf } from "../../../../src/attest/x509/chain.ts";
import type { TrustAnchor } from "../../../../src/attest/x509/chain.ts";
import { dcapIndex, vectorBytes, vectorJson } from "../../dcap-vectors.ts";
import { makeCase, NOW_MS, pki } from "../../dcap-fixture.ts";
import type { Kind } from "../../dcap-fixture.ts";

type Subject = {
  readonly name: string;
  readonly quote: Uint8Array;
  readonly collateral: DcapCollateral;
  readonly anchor: TrustAnchor;
  readonly nowMs: number;
};

const BEGIN = "-----BEGIN CERTIFICATE-----";

/**
 * Bytes of a PEM chain that no check depends on, with the reason of each.
 * - The certificate of the root: its name and key have to be the pinned ones, nothing else of it is
 *   read. Intel issued it twice with one key, and chains in use have either.
 * - Line ends between certificates: other white space there says the same.
 */
function insignificant(bytes: Uint8Array): (offset: number) => boolean {
  const text = Buffer.from(bytes).toString("latin1");
  const root = text.lastIndexOf(BEGIN);
  return (offset) => offset > root || /[\s\0]/.test(text.charAt(offset));
}

const isRefusal = (error: unknown): boolean =>
  isPpmlError(error) &&
  /^attest\.(?:invalid|unsupported|not_verified|collateral|revoked)$/.test(error.code);

/** Refuses, or gives the same bytes' worth of meaning: true where it was accepted. */
function accepts(
  subject: Subject,
  changes: Partial<Subject>,
  cache = createDcapCache(SMALL),
): boolean {
  try {
    verifyQuoteUnder(subject.anchor, { ...subject, ...changes, cache });
    return true;
  } catch (error) {
    assert.ok(isRefusal(error), String(error));
    return false;
  }
}

const SMALL = { maxCollateral: 4, maxPlatforms: 4 };

function simulated(kind: Kind): Subject {
  const anchor = trustAnchorOf(parseCertificate(pki.certificates.root));
  return { name: `simulated ${kind}`, ...makeCase(kind), anchor, nowMs: NOW_MS };
}

/** The first vector of a kind that verifies. */
function hardware(kind: string): Subject[] {
  for (const vector of dcapIndex.quotes)
    for (const { file, verifyAt, verdicts } of vector.collateral)
      if (vector.kind === kind && verdicts["dcap-qvl-rs-0.7.1"]?.ok === true)
        return [
          {
            name: `hardware's ${kind}`,
            quote: vectorBytes(vector.file),
            collateral: parseQuoteCollateralV3(vectorJson(file)),
            anchor: intelTrustAnchor(),
            nowMs: verifyAt * 1000,
          },
        ];
  return [];
}

const subjects: readonly Subject[] = [
  ...(["sgx v3", "tdx v4", "tdx v5, TD 1.5"] as const).map(simulated),
  ...["sgx-v3", "tdx-v4", "tdx-v5"].flatMap(hardware),
];

const flipped = (bytes: Uint8Array, offset: number, bit: number): Uint8Array => {
  const changed = Uint8Array.from(bytes);
  changed[offset] = (changed[offset] ?? 0) ^ (1 << bit);
  return changed;
};

for (const subject of subjects)
  describe(`the quote of ${subject.name}`, () => {
    const { quote } = subject;
    const cache = createDcapCache(SMALL);

    test("is good as it is", () => {
      assert.ok(accepts(subject, {}, cache));
    });

    test("is refused with any flipped byte, but for those without meaning", () => {
      const meaningless = insignificant(quote);
      const accepted: number[] = [];
      for (let offset = 0; offset < quote.byteLength; offset += 1)
        // The bit differs from offset to offset, so that all eight are tried.
        if (accepts(subject, { quote: flipped(quote, offset, offset % 8) }, cache))
          accepted.push(offset);
      assert.deepEqual(
        accepted.filter((offset) => !meaningless(offset)),
        [],
      );
      // Control: most of what may be flipped in the root's text is refused too, since it parses no more.
      assert.ok(accepted.length < quote.byteLength / 4, `${accepted.length} were accepted`);
    });

    test("is refused at every truncation", () => {
      for (let length = 0; length < quote.byteLength; length += 1)
        assert.ok(!accepts(subject, { quote: quote.subarray(0, length) }, cache), `${length}`);
    });

    test("is refused with collateral that has a flipped byte or is cut, wherever", () => {
      const members = DCAP_COLLATERAL_MEMBERS.filter(
        (name) => subject.collateral[name] !== null && name !== "pckCrlIssuerChain",
      );
      fc.assert(
        fc.property(
          fc.constantFrom(...members),
          fc.nat(1_000_000),
          fc.option(fc.nat(7)),
          (member, at, bit) => {
            const bytes = subject.collateral[member] ?? new Uint8Array();
            const offset = at % bytes.byteLength;
            if (member.endsWith("Chain") && insignificant(bytes)(offset)) return;
            const changed = bit === null ? bytes.subarray(0, offset) : flipped(bytes, offset, bit);
            const collateral = { ...subject.collateral, [member]: changed };
            assert.ok(!accepts(subject, { collateral }), `${member} at ${offset}`);
          },
        ),
        { numRuns: 150 },
      );
    });
  });

test("a flipped byte of any vector is refused, but for those without meaning", () => {
  const all = dcapIndex.quotes.flatMap((vector) =>
    vector.collateral
      .filter(({ verdicts }) => verdicts["dcap-qvl-rs-0.7.1+allowDebug"]?.ok === true)
      .slice(0, 1)
      .map(({ file, verifyAt }) => ({ vector, file, nowMs: verifyAt * 1000 })),
  );
  if (all.length === 0) return;
  const cache = createDcapCache({ maxCollateral: 100, maxPlatforms: 100 });
  fc.assert(
    fc.property(fc.constantFrom(...all), fc.nat(100_000), fc.nat(7), (chosen, at, bit) => {
      const subject: Subject = {
        name: chosen.vector.id,
        quote: vectorBytes(chosen.vector.file),
        collateral: parseQuoteCollateralV3(vectorJson(chosen.file)),
        anchor: intelTrustAnchor(),
        nowMs: chosen.nowMs,
      };
      const offset = at % subject.quote.byteLength;
      if (insignificant(subject.quote)(offset)) return;
      assert.ok(!accepts(subject, { quote: flipped(subject.quote, offset, bit) }, cache));
    }),
    { numRuns: 1000 },
  );
});

test("any bytes as a quote, and as any part of the collateral, are refused without a crash", () => {
  const subject = simulated("tdx v5, TD 1.5 extended");
  const cache = createDcapCache(SMALL);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (quote) => {
      assert.ok(!accepts(subject, { quote }, cache));
    }),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...DCAP_COLLATERAL_MEMBERS),
      fc.uint8Array({ maxLength: 2000 }),
      (member, bytes) => {
        if (member === "pckCrlIssuerChain") return;
        assert.ok(!accepts(subject, { collateral: { ...subject.collateral, [member]: bytes } }));
      },
    ),
    { numRuns: 200 },
  );
});
