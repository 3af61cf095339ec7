import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError, toBase64Url } from "../../../src/base/index.ts";
import { parseAmdHostCertificates } from "../../../src/attest/evidence/amd-host-certificates.ts";
import { hostDataOfCcePolicy } from "../../../src/attest/evidence/cce-policy.ts";
import { parseSnpTcb } from "../../../src/attest/evidence/snp-fields.ts";
import { verifySnpEvidence } from "../../../src/attest/verify/snp.ts";
import { AMD_SNP_TRUST } from "../../../src/attest/verify/amd-roots.ts";
import { verifySnpReport } from "../../../src/attest/verify/snp-report.ts";
import type { SnpCertificates } from "../../../src/attest/verify/snp-chain.ts";
import { parsePemCertificates } from "../../../src/attest/x509/pem.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import { skip, vectorBytes, vectorIndex, vectorText } from "../vectors.ts";
import type { SnpVector } from "../vectors.ts";

/**
 * Verdicts that differ from the index's on purpose. The index looks at signatures alone; AMD's ASVK
 * and Genoa's ASK and ARK are not among the vectors.
 */
const DIFFERENT: Readonly<Record<string, { readonly code: string; readonly why: string }>> = {
  "azure-cleanroom-cvm-insecure-virtual-signing": denied(),
  "azure-cleanroom-insecure-virtual-encryption": denied(),
  "azure-cleanroom-insecure-virtual-signing": denied(),
  "trustee-test-vlek-report": notThere("Milan's ASVK"),
  "services-sevsnp-tsm-report": notThere("Genoa's ASK"),
};

function denied() {
  return { code: "attest.denied", why: "its private key is published" };
}

function notThere(what: string) {
  return { code: "attest.not_verified", why: `${what} is not among the vectors` };
}

function first(pem: string): Uint8Array {
  const [certificate = new Uint8Array()] = parsePemCertificates(pem);
  return certificate;
}

/** Milan's ASK and ARK as an Azure host gives them. */
function hostChain() {
  return parseAmdHostCertificates(vectorText("caci/uvm-host-amd-certificate.json"));
}

function certificatesOf(keyFile: string): SnpCertificates {
  const { ark, ask } = hostChain();
  return { ark, authority: ask, key: first(vectorText(keyFile)), crl: null };
}

const verify = (bytes: Uint8Array, keyFile: string, nowMs: number) =>
  verifySnpReport({ bytes, certificates: certificatesOf(keyFile), trust: AMD_SNP_TRUST, nowMs });

function endorsed(): (SnpVector & { endorsement: NonNullable<SnpVector["endorsement"]> })[] {
  return vectorIndex.snp.flatMap(({ endorsement, ...vector }) =>
    endorsement === undefined ? [] : [{ ...vector, endorsement }],
  );
}

describe("a hardware report with its key's certificate, up to AMD's pinned root", { skip }, () => {
  for (const { id, file, endorsement, verdicts, parsed } of endorsed())
    test(`${id}${id in DIFFERENT ? `: differs, ${DIFFERENT[id]?.why}` : ""}`, () => {
      assert.ok(
        Object.values(verdicts ?? {}).every(({ ok }) => ok),
        "the index says yes",
      );
      const run = () => verify(vectorBytes(file), endorsement.file, endorsement.verifyAt * 1000);
      const different = DIFFERENT[id];
      if (different !== undefined) return assert.throws(run, { code: different.code });
      const { snp } = run();
      assert.equal(`SEV-${snp.product}`, endorsement.issuer[0]);
      assert.equal(snp.guestPolicy.debug, parsed.debug);
      assert.equal(snp.tcb.reported.microcode, endorsement.ext.ucodeSPL);
      assert.equal(Buffer.from(snp.chipId ?? []).toString("hex"), endorsement.ext.hwid);
    });
});

test("every difference from the index is of a vector that is there", { skip }, () => {
  const ids = new Set(endorsed().map(({ id }) => id));
  assert.deepEqual(
    Object.keys(DIFFERENT).filter((id) => !ids.has(id)),
    [],
  );
});

describe("a tampered hardware report is refused, as the index says", { skip }, () => {
  for (const { id, kind, file, endorsement = "" } of vectorIndex.tampered)
    if (kind === "tampered-snp")
      test(id, () => {
        assert.throws(
          () => verify(vectorBytes(file), endorsement, Date.UTC(2025, 5, 1)),
          (error) =>
            isPpmlError(error, "attest.not_verified") || isPpmlError(error, "attest.invalid"),
        );
      });
});

test("a VCEK certificate whose chip id was changed is refused", { skip }, () => {
  const { ark, ask } = hostChain();
  const key = vectorBytes("azure-vtpm/trustee-snp-test-vcek-invalid-legacy.der");
  assert.throws(
    () =>
      verifySnpReport({
        bytes: vectorBytes("snp/trustee-test-report.bin"),
        certificates: { ark, authority: ask, key, crl: null },
        trust: AMD_SNP_TRUST,
        nowMs: Date.UTC(2025, 5, 1),
      }),
    { code: "attest.not_verified", message: /"SEV-VCEK" is not signed by the key of "SEV-Milan"/ },
  );
});

test("expired hardware certificates are refused", { skip }, () => {
  const [vector] = endorsed();
  const run = (nowMs: number) =>
    verify(vectorBytes(vector?.file ?? ""), vector?.endorsement.file ?? "", nowMs);
  run(Date.UTC(2025, 0, 1));
  assert.throws(() => run(Date.UTC(2031, 0, 1)), {
    code: "attest.not_verified",
    message: /"SEV-VCEK" is valid from/,
  });
});

/** A confidential container group of Azure: report, host's certificates, VM's endorsement, policy. */
function containerGroup(): WireEvidence {
  const host = hostChain();
  return {
    type: "snp",
    evidence: toBase64Url(vectorBytes("snp/confidential-sidecar-containers-snp-report.bin")),
    collateral: {
      ark: toBase64Url(host.ark),
      ask: toBase64Url(host.ask),
      vcek: toBase64Url(host.vcek),
      uvm: toBase64Url(vectorBytes("caci/uvm-reference-info.cose")),
    },
  };
}

test(
  "a confidential container group of Azure verifies, endorsement and policy included",
  { skip },
  () => {
    const { evidence, simulated, profile } = verifySnpEvidence(containerGroup(), {
      nowMs: Date.UTC(2025, 5, 1),
    });
    assert.deepEqual({ simulated, profile }, { simulated: false, profile: "snp" });
    const { report, uvm } = evidence;
    assert.equal(uvm?.feed, "ContainerPlat-AMD-UVM");
    assert.equal(uvm?.svn, 22);
    assert.deepEqual(uvm?.launchMeasurement, report.measurement);
    const policy = vectorText("caci/security-policy.base64");
    assert.deepEqual(hostDataOfCcePolicy(policy), report.hostData);
    const { tcbm } = hostChain();
    assert.deepEqual(parseSnpTcb(tcbm, report), evidence.snp.tcb.reported);
  },
);

test("an endorsement of another VM's measurement is refused", { skip }, () => {
  const wire = containerGroup();
  const other = endorsed().find(({ id }) => id === "trustee-test-report");
  const collateral = {
    ...wire.collateral,
    vcek: toBase64Url(first(vectorText(other?.endorsement.file ?? ""))),
  };
  const evidence = toBase64Url(vectorBytes(other?.file ?? ""));
  assert.throws(
    () => verifySnpEvidence({ ...wire, evidence, collateral }, { nowMs: Date.UTC(2025, 5, 1) }),
    { code: "attest.not_verified", message: /of another utility VM/ },
  );
});

test("T: reports whose private key is published are denied", { skip }, () => {
  const published = vectorIndex.snp.filter(({ id }) => id.includes("insecure-virtual"));
  assert.equal(published.length, 3);
  for (const { file, endorsement } of published)
    assert.throws(() => verify(vectorBytes(file), endorsement?.file ?? "", Date.UTC(2026, 5, 1)), {
      code: "attest.denied",
      message: /is published/,
    });
});

test("evidence of AWS Nitro is refused as a kind that is not known", { skip }, () => {
  const nitro = vectorIndex.other.filter(({ kind }) => kind === "nitro");
  assert.ok(nitro.length >= 4);
  for (const { file } of nitro)
    assert.throws(
      () =>
        verifySnpEvidence(
          { type: "nitro", evidence: toBase64Url(vectorBytes(file)), collateral: {} },
          { nowMs: Date.UTC(2026, 5, 1) },
        ),
      { code: "attest.unsupported", message: /got nitro/ },
    );
});

const isRefusal = (error: unknown): boolean =>
  isPpmlError(error, "attest.invalid") ||
  isPpmlError(error, "attest.not_verified") ||
  isPpmlError(error, "attest.unsupported");

type Part = "report" | "ark" | "authority" | "key";

/** Verifies a vector with one part changed. */
function verifyChanged(
  vector: ReturnType<typeof endorsed>[number],
  part: Part,
  change: (bytes: Uint8Array) => Uint8Array,
): void {
  const certificates = certificatesOf(vector.endorsement.file);
  const parts = { report: vectorBytes(vector.file), ...certificates };
  const { report, crl, ...others } = { ...parts, [part]: change(parts[part]) };
  verifySnpReport({
    bytes: report,
    certificates: { ...others, crl },
    trust: AMD_SNP_TRUST,
    nowMs: vector.endorsement.verifyAt * 1000,
  });
}

function verifiable(): ReturnType<typeof endorsed> {
  return endorsed().filter(({ id }) => !(id in DIFFERENT));
}

test("every flipped byte of a hardware report is refused, and every truncation", { skip }, () => {
  const vector = verifiable().find(({ id }) => id === "trustee-test-report");
  assert.ok(vector !== undefined);
  verifyChanged(vector, "report", (bytes) => bytes);
  for (let offset = 0; offset < 1184; offset += 1) {
    const flip = (bytes: Uint8Array): Uint8Array =>
      bytes.with(offset, (bytes[offset] ?? 0) ^ (1 << (offset % 8)));
    assert.throws(() => verifyChanged(vector, "report", flip), isRefusal, `offset ${offset}`);
    const cut = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, offset);
    assert.throws(() => verifyChanged(vector, "report", cut), isRefusal, `length ${offset}`);
  }
});

test(
  "a flipped bit anywhere in any hardware report or its certificates is refused",
  { skip },
  () => {
    const part = fc.constantFrom<Part>("report", "ark", "authority", "key");
    fc.assert(
      fc.property(fc.constantFrom(...verifiable()), part, fc.nat(), (vector, where, at) => {
        const flip = (bytes: Uint8Array): Uint8Array => {
          const offset = (at >>> 3) % bytes.byteLength;
          return bytes.with(offset, (bytes[offset] ?? 0) ^ (1 << (at & 7)));
        };
        assert.throws(() => verifyChanged(vector, where, flip), isRefusal);
      }),
      { numRuns: 400 },
    );
  },
);
