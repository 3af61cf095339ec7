import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { z } from "zod";
import { simulationPolicy } from "../../src/attest/appraise/policy.ts";
import { amdAuthority } from "../../src/attest/collateral/amd-authorities.ts";
import { pem } from "../attest/collateral/pem.ts";
import { wire } from "../attest/fixture.ts";
import { tokenOf } from "../attest/maa-fixture.ts";
import { skip } from "../attest/vectors.ts";
import { sharedPath } from "../shared-data.ts";
import { runInProcess } from "./ppml.ts";

const folder = mkdtempSync(join(tmpdir(), "ppml collateral "));
after(() => rmSync(folder, { recursive: true }));

const write = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const evidence = {
  snp: write("snp.json", JSON.stringify({ ...wire, type: "snp", collateral: {} })),
  maa: write("maa.jwt", tokenOf()),
};

const reportSchema = z.object({
  verified: z.boolean(),
  kind: z.string(),
  refusal: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).nullable(),
});
async function verify(...args: readonly string[]) {
  const { code, stdout } = await runInProcess(["attest", "verify", ...args, "--json"]);
  return { code, ...reportSchema.parse(JSON.parse(stdout)) };
}

/** Files that are no collateral. */
const NOISE = ["", "noise", "{}", '{"keys":1}', '{"pck_crl":""}', "-----BEGIN CERTIFICATE-----\n"];

describe("ppml attest verify, with collateral that is none", () => {
  for (const [kind, file] of Object.entries(evidence))
    test(`says that the Evidence is ${kind}, and that the collateral is at fault`, async () => {
      for (const text of NOISE) {
        const { code, refusal, ...found } = await verify(
          file,
          "--collateral",
          write("noise", text),
        );
        assert.equal(code, 1, text);
        assert.equal(found.kind, kind, text);
        assert.equal(refusal?.code, "attest.collateral", `${text}: ${refusal?.message}`);
        assert.match(refusal.message, /noise/);
        assert.match(refusal.remedy, /--collateral/);
      }
    });

  test("policy dry-run says of which kind the Evidence is too", async () => {
    const policy = write("policy.json", JSON.stringify(simulationPolicy(["00".repeat(48)])));
    const args = ["--collateral", write("noise", "noise"), "--json"];
    const run = await runInProcess(["policy", "dry-run", policy, evidence.snp, ...args]);
    assert.equal(run.code, 1);
    const { outcomes } = z
      .object({ outcomes: z.array(reportSchema) })
      .parse(JSON.parse(run.stdout));
    assert.deepEqual(
      outcomes.map(({ kind, refusal }) => [kind, refusal?.code]),
      [["snp", "attest.collateral"]],
    );
  });
});

const file = (folderName: string, name: string): string =>
  sharedPath("vectors", "attestation", folderName, name) ?? name;

test(
  "a vTPM's Evidence is verified with its own VCEK given as collateral, and not with another",
  { skip },
  async () => {
    const genoa = file("azure-vtpm", "trustee-az-snp-vtpm-evidence-genoa.json");
    const at = ["--at", "1750000000"];
    const own = file("azure-vtpm", "trustee-az-snp-vtpm-vcek-genoa.pem");
    assert.equal((await verify(genoa, "--collateral", own, ...at)).code, 0);
    const other = await verify(
      genoa,
      "--collateral",
      file("azure-vtpm", "trustee-az-snp-vtpm-vcek.pem"),
      ...at,
    );
    assert.deepEqual([other.code, other.refusal?.code], [1, "attest.invalid"]);
  },
);

const pemOf = (name: string): string => readFileSync(file("snp", name), "utf8");
const authority = (name: "ark" | "ask" | "asvk"): string => pem(amdAuthority("Milan", name));

test(
  "a report is verified with the key that signed it where its host gives both kinds",
  { skip },
  async () => {
    const vcek = pemOf("trustee-test-report.vcek.pem");
    const vlek = pemOf("trustee-test-vlek-report.vlek.pem");
    const at = ["--at", "1750000000"];
    for (const [name, chain] of [
      ["trustee-test-report.bin", vcek + vlek],
      ["trustee-test-report.bin", vlek + vcek],
      ["trustee-test-vlek-report.bin", vcek + vlek],
      ["trustee-test-vlek-report.bin", vlek + vcek],
      // With the authorities of the other key alone.
      ["trustee-test-vlek-report.bin", vlek + vcek + authority("ask") + authority("ark")],
      ["trustee-test-report.bin", vcek + vlek + authority("asvk") + authority("ark")],
    ] as const) {
      const { code, refusal } = await verify(
        file("snp", name),
        "--collateral",
        write("both.pem", chain),
        ...at,
      );
      assert.equal(code, 0, `${name}: ${refusal?.message}`);
    }
  },
);
