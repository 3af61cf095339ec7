import assert from "node:assert/strict";
import { verify } from "node:crypto";
import { test } from "node:test";
import type { Attester } from "../../../src/attest/collect/attester.ts";
import { openAzureVtpmAttester, probeAzureVtpm } from "../../../src/attest/collect/azure-vtpm.ts";
import type { TpmChannel } from "../../../src/attest/collect/tpm-channel.ts";
import { u16 } from "../../../src/attest/collect/tpm-exchange.ts";
import { parseAzureVtpmJson } from "../../../src/attest/evidence/azure-vtpm-json.ts";
import { parseHclReport } from "../../../src/attest/evidence/hcl-report.ts";
import { parseTpmQuote } from "../../../src/attest/evidence/tpm-attest.ts";
import { concatBytes, fromBase64Url, isPpmlError, sha256 } from "../../../src/base/index.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import { attesterSuite, OTHER_DATA, REPORT_DATA, unavailable } from "./attester-suite.ts";
import { FakeTpm } from "./fake-tpm.ts";
import { startSwtpm } from "./swtpm.ts";

const VCEK = Uint8Array.of(0x30, 1, 2, 3);

function open(tpm: TpmChannel, tee: "snp" | "tdx"): Attester {
  return openAzureVtpmAttester({
    tee,
    tpm,
    fetchCertificates: async () => ({ vcek: VCEK, ask: Uint8Array.of(1), ark: Uint8Array.of(2) }),
    fetchTdQuote: async (tdReport) => {
      assert.equal(tdReport.byteLength, 1024);
      return concatBytes(Uint8Array.of(4, 0), tdReport);
    },
  });
}

/** Checks the Evidence as a verifier would, and gives what its quote binds, filled to 64 bytes. */
function boundBy(wire: WireEvidence): Uint8Array {
  const parts = parseAzureVtpmJson(fromBase64Url(wire.evidence));
  const report = parseHclReport(parts.hclReport);
  assert.equal(parts.quote.signature.scheme, "rsassa");
  assert.ok("signature" in parts.quote.signature);
  const { signature } = parts.quote.signature;
  assert.ok(verify("sha256", parts.quote.message, report.runtimeData.attestationKey, signature));
  const quote = parseTpmQuote(parts.quote.message);
  assert.deepEqual(quote.pcrSelect, [{ hash: "sha256", pcrs: [...parts.pcrs.keys()] }]);
  assert.equal(parts.pcrs.size, 24);
  assert.deepEqual(quote.pcrDigest, sha256(...parts.pcrs.values()));
  assert.equal(quote.extraData.byteLength, 48);
  return concatBytes(quote.extraData, new Uint8Array(16));
}

for (const tee of ["snp", "tdx"] as const)
  attesterSuite(`an Azure vTPM on ${tee}`, {
    open: () => open(new FakeTpm(tee), tee),
    type: `az-${tee}-vtpm`,
    boundBy,
  });

const swtpm = await startSwtpm();
process.on("exit", () => swtpm?.stop());
const skip = swtpm === null ? "swtpm is not installed" : false;

test("a software TPM: Evidence binds the report data and verifies", { skip }, async () => {
  if (swtpm === null) return;
  for (const tee of ["snp", "tdx"] as const) {
    await swtpm.provision(tee);
    assert.equal(await probeAzureVtpm(swtpm), tee);
    for (const data of [REPORT_DATA, OTHER_DATA])
      assert.deepEqual(boundBy(await open(swtpm, tee).attest(data)), data);
    const parts = parseAzureVtpmJson(
      fromBase64Url((await open(swtpm, tee).attest(REPORT_DATA)).evidence),
    );
    assert.deepEqual(parts.vcek, tee === "snp" ? VCEK : null);
    const { collateral } = await open(swtpm, tee).attest(REPORT_DATA);
    assert.deepEqual(collateral, tee === "snp" ? { ark: "Ag", ask: "AQ" } : {});
    assert.equal(parts.tdQuote?.byteLength, tee === "snp" ? undefined : 1026);
  }
});

test(
  "a software TPM without the paravisor's report is told to be no vTPM of a confidential VM",
  { skip },
  async () => {
    if (swtpm === null) return;
    await swtpm.forget();
    await unavailable(
      open(swtpm, "snp").attest(REPORT_DATA),
      /TPM2_NV_ReadPublic with 0x18b: it has no such key or index/,
    );
  },
);

test("PCRs that change between reading and quoting are read and quoted again, a bounded number of times", async () => {
  const tpm = new FakeTpm("snp");
  let left = 2;
  tpm.hook = (code) => {
    if (code === 0x158 && left > 0) {
      left -= 1;
      tpm.pcrs[10] = sha256(tpm.pcrs[10] ?? new Uint8Array());
    }
    return null;
  };
  assert.deepEqual(boundBy(await open(tpm, "snp").attest(REPORT_DATA)), REPORT_DATA);
  left = 1000;
  await unavailable(open(tpm, "snp").attest(REPORT_DATA), /PCRs changed each time/);
});

test("PCRs that change while they are read are read again", async () => {
  const tpm = new FakeTpm("snp");
  let reads = 0;
  tpm.hook = (code) => {
    if (code === 0x17e && (reads += 1) === 2) tpm.updateCounter += 1;
    return null;
  };
  assert.deepEqual(boundBy(await open(tpm, "snp").attest(REPORT_DATA)), REPORT_DATA);
  tpm.hook = (code) => {
    if (code === 0x17e) tpm.updateCounter += 1;
    return null;
  };
  await unavailable(open(tpm, "snp").attest(REPORT_DATA), /did not stay the same/);
});

test("a TPM that asks for a retry is asked again, one that refuses is told with its code", async () => {
  const tpm = new FakeTpm("snp");
  let left = 3;
  tpm.hook = () => ((left -= 1) >= 0 ? 0x922 : null);
  await open(tpm, "snp").attest(REPORT_DATA);
  tpm.commands.length = 0;
  tpm.hook = () => 0x922;
  await unavailable(open(tpm, "snp").attest(REPORT_DATA), /0x922/);
  assert.equal(tpm.commands.length, 10);
  for (const [code, message] of [
    [0x18b, /no such key or index/],
    [0x98e, /empty password/],
    [0x921, /locked/],
    [0x101, /TPM2_Quote with 0x101/],
  ] as const) {
    tpm.hook = (command) => (command === 0x158 ? code : null);
    await unavailable(open(tpm, "snp").attest(REPORT_DATA), message);
  }
});

test("T102: a key at the attestation key's handle that would sign anything is not used", async () => {
  const tpm = new FakeTpm("snp");
  for (const without of [1 << 16, 1 << 18, 1 << 1]) {
    tpm.attributes = 0x00050072 & ~without;
    await unavailable(open(tpm, "snp").attest(REPORT_DATA), /no attestation key/);
  }
});

test("a quote of other data, or by another scheme, is refused", async () => {
  const tpm = new FakeTpm("snp");
  let swap = true;
  const swapping: TpmChannel = {
    transmit: async (command) => {
      const other = Uint8Array.from(command);
      if (other[9] === 0x58 && swap) other[30] = 0xff;
      return tpm.transmit(other);
    },
  };
  await unavailable(open(swapping, "snp").attest(REPORT_DATA), /other data than was asked for/);
  swap = false;
  await open(swapping, "snp").attest(REPORT_DATA);
  tpm.scheme = 0x0016;
  await unavailable(open(tpm, "snp").attest(REPORT_DATA), /got rsapss/);
});

test("answers that are cut, too long or of a wrong tag are refused as malformed", async () => {
  const tpm = new FakeTpm("snp");
  for (const code of [0x169, 0x14e, 0x173, 0x17e, 0x158]) {
    const answers: Uint8Array[] = [];
    const recording: TpmChannel = {
      transmit: async (command) => {
        const answer = await tpm.transmit(command);
        if (command[9] === (code & 0xff)) answers.push(answer);
        return answer;
      },
    };
    await open(recording, "snp").attest(REPORT_DATA);
    const [whole] = answers;
    assert.ok(whole !== undefined);
    const cuts = [0, 9, 10, 12, Math.floor(whole.byteLength / 2), whole.byteLength - 6];
    for (const bad of [
      ...cuts.map((length) => whole.subarray(0, length)),
      ...cuts.filter((length) => length >= 10).map((length) => resized(whole.slice(0, length))),
      concatBytes(whole, Uint8Array.of(0)),
      concatBytes(u16(0x8003), whole.subarray(2)),
    ]) {
      const broken = new FakeTpm("snp");
      broken.hook = (command) => (command === code ? bad : null);
      await assert.rejects(
        open(broken, "snp").attest(REPORT_DATA),
        (error: unknown) =>
          isPpmlError(error, "attest.unavailable") || isPpmlError(error, "attest.invalid"),
      );
    }
  }
});

test("an NV index that may not be read, is huge, or holds another TEE's report is refused", async () => {
  const tpm = new FakeTpm("snp");
  await unavailable(
    open(tpm, "tdx").attest(REPORT_DATA),
    /expected a tdx report in the vTPM, got a snp one/,
  );
  tpm.nvAttributes = 1 << 18;
  await open(tpm, "snp").attest(REPORT_DATA);
  tpm.nvAttributes = 0;
  await unavailable(open(tpm, "snp").attest(REPORT_DATA), /neither by the owner nor by itself/);
  tpm.nvAttributes = 1 << 17;
  tpm.nv = new Uint8Array(16 * 1024 + 1);
  await unavailable(open(tpm, "snp").attest(REPORT_DATA), /over 16384/);
  tpm.nv = new Uint8Array(2600);
  await assert.rejects(open(tpm, "snp").attest(REPORT_DATA), (error: unknown) =>
    isPpmlError(error, "attest.invalid"),
  );
});

test("report data that a vTPM cannot bind wholly is refused", async () => {
  const full = new Uint8Array(64).fill(1);
  await assert.rejects(open(new FakeTpm("snp"), "snp").attest(full), (error: unknown) =>
    isPpmlError(error, "attest.invalid"),
  );
});

function resized(response: Uint8Array): Uint8Array {
  new DataView(response.buffer).setUint32(2, response.byteLength);
  return response;
}
