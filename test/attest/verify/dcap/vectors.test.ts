import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isPpmlError, toHex } from "../../../../src/base/index.ts";
import { parseQuoteCollateralV3 } from "../../../../src/attest/collateral/dcap-collateral.ts";
import { createDcapCache } from "../../../../src/attest/verify/dcap/cache.ts";
import type { DcapCache } from "../../../../src/attest/verify/dcap/cache.ts";
import { INTEL_ROOT_BODY } from "../../../../src/attest/verify/dcap/intel-certificates.ts";
import { intelTrustAnchor } from "../../../../src/attest/verify/dcap/intel-root.ts";
import { verifyQuoteUnder } from "../../../../src/attest/verify/dcap/verify-quote.ts";
import { parseCertificate } from "../../../../src/attest/x509/certificate.ts";
import { trustAnchorOf } from "../../../../src/attest/x509/chain.ts";
import type { TrustAnchor } from "../../../../src/attest/x509/chain.ts";
import { decodePemBody } from "../../../../src/attest/x509/pem.ts";
import { skipWithout } from "../../../shared-data.ts";
import { dcapIndex, indexPath, vectorBytes, vectorJson } from "../../dcap-vectors.ts";
import type { Verdict } from "../../dcap-vectors.ts";
import { DELIBERATE_DIFFERENCES } from "./deliberate-differences.ts";
import { referenceObjection } from "./reference-policy.ts";
import type { ReferenceMode } from "./reference-policy.ts";

const MODES: readonly ReferenceMode[] = ["dcap-qvl-rs-0.7.1", "dcap-qvl-rs-0.7.1+allowDebug"];
const skip = skipWithout(indexPath);

type Case = {
  readonly quote: Uint8Array;
  readonly collateral: string;
  readonly verifyAt: number;
  readonly anchor: TrustAnchor;
  readonly cache?: DcapCache;
};

/** Our verdict in the reference's form. Only the refusals that a verifier may make count as one. */
function verdictOf(options: Case, mode: ReferenceMode): Verdict {
  try {
    const { quote, verification } = verifyQuoteUnder(options.anchor, {
      ...options,
      collateral: parseQuoteCollateralV3(vectorJson(options.collateral)),
      nowMs: options.verifyAt * 1000,
    });
    const objection = referenceObjection(quote, mode);
    if (objection !== null) return { ok: false, error: objection };
    const { tcbStatus, advisoryIds } = verification;
    return { ok: true, status: tcbStatus, advisory_ids: [...advisoryIds] };
  } catch (error) {
    assert.ok(isPpmlError(error), String(error));
    assert.match(error.code, /^attest\.(?:invalid|unsupported|not_verified|collateral|revoked)$/);
    return { ok: false, error: error.message };
  }
}

function assertEqualVerdict(actual: Verdict, expected: Verdict): void {
  assert.equal(actual.ok, expected.ok, `${actual.error ?? ""} | ${expected.error ?? ""}`);
  if (!actual.ok) return;
  assert.equal(actual.status, expected.status);
  if (expected.advisory_ids !== undefined)
    assert.deepEqual(actual.advisory_ids, expected.advisory_ids);
}

const anchorOf = (root: string | undefined): TrustAnchor =>
  root === undefined ? intelTrustAnchor() : trustAnchorOf(parseCertificate(vectorBytes(root)));

describe("quotes of hardware get the reference's verdict, status and advisories", () => {
  const cache = createDcapCache({ maxCollateral: 1000, maxPlatforms: 1000 });
  const { known } = trustAnchorOf(parseCertificate(decodePemBody(INTEL_ROOT_BODY)));
  const unpinned = { ...intelTrustAnchor(), known };
  for (const vector of dcapIndex.quotes)
    for (const collateral of vector.collateral)
      test(collateral.file, () => {
        const options: Case = {
          quote: vectorBytes(vector.file),
          collateral: collateral.file,
          verifyAt: collateral.verifyAt,
          anchor: intelTrustAnchor(),
        };
        for (const mode of MODES) {
          const expected = collateral.verdicts[mode];
          assert.ok(expected, `the index has no verdict of ${mode}`);
          assertEqualVerdict(verdictOf(options, mode), expected);
          // The second time from the cache, which must not change anything.
          assertEqualVerdict(verdictOf({ ...options, cache }, mode), expected);
          // And with every certificate of Intel's parsed and verified anew.
          assertEqualVerdict(verdictOf({ ...options, anchor: unpinned }, mode), expected);
        }
      });
});

describe("synthetic quotes get the reference's verdict", () => {
  for (const vector of dcapIndex.synthetic)
    test(vector.id, () => {
      const options: Case = {
        quote: vectorBytes(vector.file),
        collateral: vector.collateral,
        verifyAt: vector.verifyAt,
        anchor: anchorOf(vector.root),
      };
      const difference = DELIBERATE_DIFFERENCES[vector.id];
      if (difference !== undefined) {
        assert.equal(verdictOf(options, "dcap-qvl-rs-0.7.1").ok, false, difference.reason);
        const mended = { ...options, quote: difference.mend(options.quote) };
        assertEqualVerdict(verdictOf(mended, "dcap-qvl-rs-0.7.1"), vector.verdict);
      } else assertEqualVerdict(verdictOf(options, "dcap-qvl-rs-0.7.1"), vector.verdict);
    });
});

describe("tampered quotes and collateral get the reference's verdict", () => {
  for (const vector of dcapIndex.tampered) {
    const { collateral, verifyAt, root } = vector;
    const expected = vector.verdict?.["dcap-qvl-rs-0.7.1"];
    if (collateral === undefined || verifyAt === undefined || expected === undefined) continue;
    test(vector.id, () => {
      const options: Case = {
        quote: vectorBytes(vector.file),
        collateral,
        verifyAt,
        anchor: anchorOf(root),
      };
      assertEqualVerdict(verdictOf(options, "dcap-qvl-rs-0.7.1"), expected);
    });
  }
});

test("the index is whole: no case went missing", { skip }, () => {
  const combinations = dcapIndex.quotes.flatMap(({ collateral }) => collateral);
  assert.equal(combinations.length, 220);
  assert.equal(dcapIndex.synthetic.length, 43);
  assert.equal(dcapIndex.tampered.filter(({ collateral }) => collateral !== undefined).length, 37);
  const known = new Set(dcapIndex.synthetic.map(({ id }) => id));
  for (const id of Object.keys(DELIBERATE_DIFFERENCES)) assert.ok(known.has(id), id);
});

test("a verification says what appraisal and explanation need", { skip }, () => {
  const file = "tdx-v4/dcap-qvl-tdx-quote";
  const vector = dcapIndex.quotes.find((quote) => quote.file === `${file}.bin`);
  const combination = vector?.collateral.find(
    ({ verdicts }) => verdicts["dcap-qvl-rs-0.7.1"]?.ok === true,
  );
  assert.ok(vector !== undefined && combination !== undefined);
  const nowMs = combination.verifyAt * 1000;
  const { verification } = verifyQuoteUnder(intelTrustAnchor(), {
    quote: vectorBytes(vector.file),
    collateral: parseQuoteCollateralV3(vectorJson(combination.file)),
    nowMs,
  });
  assert.equal(toHex(verification.fmspc), "b0c06f000000");
  assert.equal(verification.pck.pceSvn, 11);
  assert.equal(toHex(verification.pck.cpuSvn), "03030202040100050000000000000000");
  assert.equal(verification.pck.platformInstanceId?.byteLength, 16);
  assert.ok(verification.pck.configuration !== null);
  assert.ok(verification.validity.fromMs <= nowMs && nowMs <= verification.validity.toMs);
  assert.ok(verification.collateral.pckCrl !== null);
  assert.equal(verification.qe.isvSvn, 6);
  assert.equal(verification.currentPlatform, null);
});
