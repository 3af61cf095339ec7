import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import {
  openTsmAttester,
  probeTsmProvider,
  teeOfProvider,
} from "../../../src/attest/collect/tsm.ts";
import type { Attester } from "../../../src/attest/collect/attester.ts";
import { isPpmlError } from "../../../src/base/index.ts";
import {
  attesterSuite,
  evidenceRange,
  OTHER_DATA,
  QUICK,
  REPORT_DATA,
  unavailable,
} from "./attester-suite.ts";
import { certificateTable } from "./certificate-table.ts";
import { FakeTsm } from "./fake-tsm.ts";

/** A TD quote of version 4: report data stands at 48 + 520. */
function tdQuote(inblob: Uint8Array): Uint8Array {
  const quote = new Uint8Array(5006);
  quote.set(inblob, 48 + 520);
  return quote;
}

function snpReport(inblob: Uint8Array, privlevel: string): Uint8Array {
  const report = new Uint8Array(1184);
  report[0x30] = Number(privlevel);
  report.set(inblob, 0x50);
  return report;
}

function tdx(changes: Partial<FakeTsm["options"]> = {}): FakeTsm {
  return new FakeTsm({ provider: "tdx_guest", outblobOf: tdQuote, auxblob: null, ...changes });
}

function snp(changes: Partial<FakeTsm["options"]> = {}): FakeTsm {
  const auxblob = certificateTable({ vcek: Uint8Array.of(1, 2, 3), ask: Uint8Array.of(4) });
  return new FakeTsm({ provider: "sev_guest", outblobOf: snpReport, auxblob, ...changes });
}

function open(kernel: FakeTsm, tee: "tdx" | "snp", privlevel: number | null = null): Attester {
  return openTsmAttester({ directory: "/tsm", tee, privlevel, io: kernel.io, limits: QUICK });
}

attesterSuite("configfs-tsm with TDX", {
  open: () => open(tdx(), "tdx"),
  type: "tdx",
  boundBy: (wire) => evidenceRange(wire, 48 + 520, 64),
});

attesterSuite("configfs-tsm with SNP", {
  open: () => open(snp(), "snp"),
  type: "snp",
  boundBy: (wire) => evidenceRange(wire, 0x50, 64),
});

test("the entry is removed after success and after failure", async () => {
  const kernel = tdx();
  await open(kernel, "tdx").attest(REPORT_DATA);
  assert.equal(kernel.entries.size, 0);
  kernel.hook = ({ name }) => {
    if (name === "outblob") throw Object.assign(new Error("EIO"), { code: "EIO" });
  };
  await unavailable(open(kernel, "tdx").attest(REPORT_DATA), /configfs-tsm .* failed with EIO/);
  assert.equal(kernel.entries.size, 0);
});

test("SNP certificates come along as collateral, and privlevel is written only where it is asked for", async () => {
  const kernel = snp();
  const wire = await open(kernel, "snp", 2).attest(REPORT_DATA);
  assert.deepEqual(wire.collateral, { vcek: "AQID", ask: "BA" });
  assert.deepEqual(evidenceRange(wire, 0x30, 1), Uint8Array.of(2));
  assert.deepEqual(kernel.writes, ["privlevel", "inblob"]);
  const plain = tdx();
  await open(plain, "tdx", 2).attest(REPORT_DATA);
  assert.deepEqual(plain.writes, ["inblob"]);
});

test("a guest below VMPL 0 asks for the kernel's floor, where no level is asked for", async () => {
  const kernel = snp({ privlevelFloor: "2\n" });
  const wire = await open(kernel, "snp").attest(REPORT_DATA);
  assert.deepEqual(evidenceRange(wire, 0x30, 1), Uint8Array.of(2));
  assert.deepEqual(kernel.writes, ["privlevel", "inblob"]);
  const own = await open(kernel, "snp", 3).attest(REPORT_DATA);
  assert.deepEqual(evidenceRange(own, 0x30, 1), Uint8Array.of(3));
  const highest = snp({ privlevelFloor: "0\n" });
  await open(highest, "snp").attest(REPORT_DATA);
  assert.deepEqual(highest.writes, ["inblob"]);
  for (const privlevelFloor of ["4\n", "-1", "many", "1 2"])
    await unavailable(open(snp({ privlevelFloor }), "snp").attest(REPORT_DATA), /privlevel_floor/);
});

test("a host without a certificate table gives no collateral", async () => {
  for (const auxblob of [null, new Uint8Array(), new Uint8Array(48)])
    assert.deepEqual((await open(snp({ auxblob }), "snp").attest(REPORT_DATA)).collateral, {});
});

test("T100: another writer between our write and our read is noticed by the generation, and the report is asked for again", async () => {
  const kernel = tdx();
  let times = 1;
  kernel.hook = ({ verb, name, entry }) => {
    if (verb === "read" && name === "outblob" && times > 0) {
      times -= 1;
      kernel.interfere(entry, OTHER_DATA);
    }
  };
  const wire = await open(kernel, "tdx").attest(REPORT_DATA);
  assert.deepEqual(evidenceRange(wire, 48 + 520, 64), REPORT_DATA);
  times = Number.POSITIVE_INFINITY;
  await unavailable(open(kernel, "tdx").attest(REPORT_DATA), /stayed busy/);
  assert.equal(kernel.entries.size, 0);
});

test("a write that the kernel dropped is noticed by the generation", async () => {
  const kernel = tdx();
  const io = { ...kernel.io, write: async () => undefined };
  kernel.hook = ({ verb, name, entry }) => {
    // A report over what was there before, without our write.
    if (verb === "read" && name === "outblob") {
      const found = kernel.entries.get(entry);
      if (found !== undefined) found.inblob = OTHER_DATA;
    }
  };
  const attester = openTsmAttester({
    directory: "/tsm",
    tee: "tdx",
    privlevel: null,
    io,
    limits: QUICK,
  });
  await unavailable(attester.attest(REPORT_DATA), /stayed busy/);
});

test("a kernel that is busy is asked again, a bounded number of times", async () => {
  const kernel = snp();
  let left = 2;
  let asked = 0;
  kernel.hook = ({ name }) => {
    if (name !== "outblob") return;
    asked += 1;
    left -= 1;
    if (left >= 0) throw Object.assign(new Error("EBUSY"), { code: "EBUSY" });
  };
  await open(kernel, "snp").attest(REPORT_DATA);
  assert.equal(asked, 3);
  left = 100;
  asked = 0;
  await unavailable(open(kernel, "snp").attest(REPORT_DATA), /stayed busy/);
  assert.equal(asked, QUICK.attempts);
});

test("a report that does not come in time is given up", async () => {
  const kernel = tdx();
  kernel.hook = ({ name }) => (name === "outblob" ? sleep(600) : undefined);
  await unavailable(open(kernel, "tdx").attest(REPORT_DATA), /within 300 ms/);
});

test("a report that is short, or a provider of another TEE, is refused", async () => {
  const short = tdx({ outblobOf: () => new Uint8Array(100) });
  await unavailable(open(short, "tdx").attest(REPORT_DATA), /636 bytes or more/);
  const none = snp({ outblobOf: () => new Uint8Array() });
  await unavailable(open(none, "snp").attest(REPORT_DATA), /1184 bytes or more/);
  await unavailable(open(tdx(), "snp").attest(REPORT_DATA), /got "tdx_guest"/);
  await unavailable(
    open(tdx({ provider: "arm_cca_guest" }), "tdx").attest(REPORT_DATA),
    /arm_cca_guest/,
  );
});

test("a certificate table that is cut is refused as not valid", async () => {
  const table = certificateTable({ vcek: new Uint8Array(100) });
  const attester = open(snp({ auxblob: table.subarray(0, 60) }), "snp");
  await assert.rejects(attester.attest(REPORT_DATA), (error: unknown) =>
    isPpmlError(error, "attest.invalid"),
  );
});

test("a machine without configfs-tsm, and a generation that is no number, are told", async () => {
  const { io } = tdx();
  const elsewhere = openTsmAttester({
    directory: "/none",
    tee: "tdx",
    privlevel: null,
    io,
    limits: QUICK,
  });
  await unavailable(elsewhere.attest(REPORT_DATA), /is not there/);
  const odd = { ...io, read: async () => new TextEncoder().encode("many\n") };
  const attester = openTsmAttester({
    directory: "/tsm",
    tee: "tdx",
    privlevel: null,
    io: odd,
    limits: QUICK,
  });
  await unavailable(attester.attest(REPORT_DATA), /got "many"/);
});

test("the provider is asked by an entry that is removed again", async () => {
  const kernel = snp();
  assert.equal(
    await probeTsmProvider({ directory: "/tsm", io: kernel.io, limits: QUICK }),
    "sev_guest",
  );
  assert.equal(kernel.entries.size, 0);
  assert.deepEqual(["tdx_guest", "sev_guest", "arm_cca_guest", "__proto__"].map(teeOfProvider), [
    "tdx",
    "snp",
    null,
    null,
  ]);
});
