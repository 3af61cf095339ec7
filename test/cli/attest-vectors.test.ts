import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { z } from "zod";
import { dcapIndex } from "../attest/dcap-vectors.ts";
import { skip, vectorBytes, vectorIndex } from "../attest/vectors.ts";
import { sharedPath } from "../shared-data.ts";
import { runInProcess, temporaryFolder } from "./ppml.ts";

/** The reference, with its own defaults: no debugging, no service TD. */
const REFERENCE = "dcap-qvl-rs-0.7.1";

/** Reports that go-sev-guest verifies and we refuse on purpose, with the reason's code. */
const REFUSED_ON_PURPOSE: ReadonlyMap<string, string> = new Map([
  // A guest that its host may debug: go-sev-guest leaves that to a policy, our baseline does not.
  ["go-sev-guest-attestation", "attest.unprotected"],
  // Reports whose bound private keys are published.
  ["azure-cleanroom-cvm-insecure-virtual-signing", "attest.denied"],
  ["azure-cleanroom-insecure-virtual-encryption", "attest.denied"],
  ["azure-cleanroom-insecure-virtual-signing", "attest.denied"],
]);

const reportSchema = z.strictObject({
  verified: z.boolean(),
  kind: z.string(),
  simulated: z.boolean(),
  tcbStatus: z.string().nullable(),
  advisoryIds: z.array(z.string()),
  claims: z.record(z.string(), z.unknown()),
  refusal: z
    .strictObject({ code: z.string(), message: z.string().min(20), remedy: z.string().min(20) })
    .nullable(),
});

const path = (file: string): string => sharedPath("vectors", "attestation", file) ?? file;

/** `ppml attest verify` of one file: its JSON and its exit code, which have to agree. */
async function verify(
  file: string,
  options: { readonly collateral?: string | undefined; readonly at: number },
) {
  const collateral =
    options.collateral === undefined ? [] : ["--collateral", path(options.collateral)];
  const run = await runInProcess([
    "attest",
    "verify",
    path(file),
    ...collateral,
    "--at",
    String(options.at),
    "--json",
  ]);
  const report = reportSchema.parse(JSON.parse(run.stdout));
  assert.equal(run.code, report.verified ? 0 : 1);
  assert.equal(report.refusal === null, report.verified);
  return report;
}

describe("ppml attest verify", { skip }, () => {
  test("says of every quote with every collateral what the reference says", async () => {
    let count = 0;
    for (const quote of dcapIndex.quotes)
      for (const { file, verifyAt, verdicts } of quote.collateral) {
        const expected = verdicts[REFERENCE];
        const report = await verify(quote.file, { collateral: file, at: verifyAt });
        const what = `${quote.file} with ${file}: ${report.refusal?.message}`;
        assert.equal(report.verified, expected?.ok, what);
        assert.equal(report.kind, quote.kind.slice(0, 3), what);
        if (report.verified) {
          assert.equal(report.tcbStatus, expected?.status, what);
          assert.deepEqual(
            [...report.advisoryIds].sort(),
            [...(expected?.advisory_ids ?? [])].sort(),
            what,
          );
        }
        count += 1;
      }
    assert.ok(count >= 200, `only ${count} combinations`);
  });

  test("accepts nothing that was tampered with, and nothing under a test root", async () => {
    for (const { file, collateral, verifyAt, root, verdict } of dcapIndex.tampered) {
      const isReal = root === undefined && verdict?.[REFERENCE]?.ok === true;
      const at = verifyAt ?? 1_751_624_924;
      const report = await verify(file, { collateral, at });
      assert.equal(report.verified && !isReal, false, file);
    }
    for (const { file, collateral, verifyAt } of dcapIndex.synthetic)
      assert.equal((await verify(file, { collateral, at: verifyAt })).verified, false, file);
  });

  test("verifies every SNP report with its certificate alone, but for those refused on purpose", async () => {
    for (const { id, file, endorsement } of vectorIndex.snp) {
      const at = endorsement?.verifyAt ?? 1_750_000_000;
      const report = await verify(file, { collateral: endorsement?.file, at });
      assert.equal(report.kind, "snp", file);
      const code = endorsement === undefined ? "attest.collateral" : REFUSED_ON_PURPOSE.get(id);
      assert.equal(report.refusal?.code, code, `${file}: ${report.refusal?.message}`);
    }
  });

  test("tells the owner of a genuine platform that is too old to update it", async () => {
    let count = 0;
    for (const { file, collateral } of dcapIndex.quotes)
      for (const { file: name, verifyAt, verdicts } of collateral)
        if (verdicts[REFERENCE]?.error?.includes("No matching TCB level") === true) {
          const { refusal } = await verify(file, { collateral: name, at: verifyAt });
          assert.match(refusal?.message ?? "", /below every level .*: update its firmware/);
          assert.match(refusal?.remedy ?? "", /Update what the message names, then/);
          count += 1;
        }
    assert.ok(count >= 10, `only ${count} combinations`);
  });

  test("finds the kind of a quote in hex, base64, base64url and other programs' JSON", async (context) => {
    const quote = dcapIndex.quotes.find(({ collateral }) => collateral.some(isGood));
    const good = quote?.collateral.find(isGood);
    assert.ok(quote && good);
    const bytes = Buffer.from(vectorBytes(quote.file));
    const forms = {
      hex: bytes.toString("hex"),
      "hex with lines": `0x${bytes.toString("hex").replace(/(.{64})/g, "$1\n")}`,
      base64: bytes.toString("base64"),
      base64url: bytes.toString("base64url"),
      json: JSON.stringify({ quote: bytes.toString("base64") }),
    };
    const folder = temporaryFolder(context);
    for (const [name, text] of Object.entries(forms)) {
      const file = join(folder, name);
      writeFileSync(file, text);
      const collateral = path(good.file);
      const report = await verify(file, { collateral, at: good.verifyAt });
      assert.equal(report.verified, true, name);
    }
  });
});

function isGood({ verdicts }: { readonly verdicts: Record<string, { ok: boolean }> }): boolean {
  return verdicts[REFERENCE]?.ok === true;
}
