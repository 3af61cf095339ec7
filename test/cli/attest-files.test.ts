import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { skip, vectorText } from "../attest/vectors.ts";
import { sharedPath } from "../shared-data.ts";
import { runInProcess } from "./ppml.ts";

/**
 * What `ppml attest verify` says of each file beside the quotes and reports, given alone: its kind and
 * the refusal's code, "" where it is verified. The first pattern that fits counts.
 */
const EXPECTED: readonly (readonly [RegExp, kind: string, code: string])[] = [
  [/^maa\/.*\.jwt$/, "maa", "attest.collateral"],
  // Requests and answers that hold a quote.
  [/^maa\/(?:maa-attest-request|sgx-enclaveinfo)-.*\.json$/, "sgx", "attest.collateral"],
  // With AMD's authorities built in, and the chip's certificate in the Evidence.
  [/^azure-vtpm\/trustee-az-snp-vtpm-evidence-.*\.json$/, "az-snp-vtpm", ""],
  [/^azure-vtpm\/trustee-az-tdx-vtpm-evidence-.*\.json$/, "az-tdx-vtpm", "attest.collateral"],
  [/^azure-vtpm\/trustee-az-tdx-vtpm-td-quote\.bin$/, "tdx", "attest.collateral"],
  // Keys that anybody has.
  [/^caci\/cleanroom-cvm-.*-attestation\.json$/, "az-snp-vtpm", "attest.denied"],
  [/^caci\/cleanroom-.*-attestation\.json$/, "snp", "attest.denied"],
  [/^intel-qvl-sample\/(?:sgx|tdx)\/quote\.dat$/, "sgx|tdx", "attest.collateral"],
  [/^ear\//, "ear", "attest.collateral"],
  // Parts of Evidence, certificates, other vendors' Evidence, keys, requests: none is Evidence by itself.
  [
    /^(?:azure-vtpm|caci|intel-qvl-sample|maa|nitro|sigstruct|skr|swtpm)\//,
    "unknown",
    "attest.unsupported",
  ],
];

const indexSchema = z.object({ other: z.array(z.object({ file: z.string() })) });
const reportSchema = z.object({
  verified: z.boolean(),
  kind: z.string(),
  refusal: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).nullable(),
});

const verify = async (file: string, ...more: readonly string[]) => {
  const path = sharedPath("vectors", "attestation", file) ?? file;
  const run = await runInProcess(["attest", "verify", path, "--json", ...more]);
  const report = reportSchema.parse(JSON.parse(run.stdout));
  assert.equal(run.code, report.verified ? 0 : 1, file);
  assert.equal(report.refusal === null, report.verified, file);
  return report;
};

describe("ppml attest verify, of a file alone", { skip }, () => {
  test("says of every other vector what it is, and why it is not verified", async () => {
    const { other } = indexSchema.parse(JSON.parse(vectorText("index.json")));
    assert.ok(other.length >= 70);
    for (const { file } of other) {
      const [, kind, code] = EXPECTED.find(([pattern]) => pattern.test(file)) ?? [null, "", "?"];
      const report = await verify(file, "--at", "1790000000");
      assert.ok(kind.split("|").includes(report.kind), `${file} is of kind ${report.kind}`);
      assert.equal(report.refusal?.code ?? "", code, file);
    }
  });

  test("of an HCL report without its TPM quote says what is missing", async () => {
    const { refusal } = await verify("azure-vtpm/kinvolk-hcl-report-snp.bin");
    assert.match(refusal?.message ?? "", /HCL report alone.*together with the TPM's quote/);
  });

  test("of a token without its provider's keys says where they are", async () => {
    const { refusal } = await verify("maa/maa-sgx-sharedwus-2022.jwt");
    assert.match(
      refusal?.message ?? "",
      /--collateral FILE, the JWK Set of https:\/\/sharedwus\.wus\.attest\.azure\.net\/certs/,
    );
  });
});

const report = (file: string): string => sharedPath("vectors", "attestation", "snp", file) ?? file;

test(
  "ppml attest diff compares reports of two chips, each with its own certificate",
  { skip },
  async () => {
    const [a, b] = ["services-sevsnp-tsm-report", "teekit-sev-gcp-reportdata"];
    const own = ["--collateral", report(`${a}.vcek.pem`), "--at", "1760000000"];
    const args = ["attest", "diff", report(`${a}.bin`), report(`${b}.bin`), ...own];
    const { stderr } = await runInProcess(args);
    assert.match(stderr, /reportdata\.bin: the report is of Milan, its key.s certificate of Genoa/);
    const ofB = ["--collateral-b", report(`${b}.vcek.pem`), "--at-b", "1770000000"];
    const { stdout } = await runInProcess([...args, ...ofB]);
    assert.match(stdout, /\nCHIP_ID\n {2}- 7b1584c9[0-9a-f]+\n {2}\+ [0-9a-f]+\n/);
  },
);
