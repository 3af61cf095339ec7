import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  openSevGuestAttester,
  SNP_GET_EXT_REPORT,
  SNP_GET_REPORT,
  snpReportCall,
} from "../../../src/attest/collect/sev-guest.ts";
import {
  openTdxGuestAttester,
  TDX_CMD_GET_REPORT0,
} from "../../../src/attest/collect/tdx-guest.ts";
import { perlIoctl, perlIoctlBy } from "../../../src/attest/collect/ioctl.ts";
import type { IoctlCall, IoctlResult, IoctlRunner } from "../../../src/attest/collect/ioctl.ts";
import { concatBytes } from "../../../src/base/index.ts";
import {
  attesterSuite,
  evidenceRange,
  OTHER_DATA,
  REPORT_DATA,
  unavailable,
} from "./attester-suite.ts";
import { certificateTable } from "./certificate-table.ts";

const device = "/dev/fake-guest";

/** What the TDX driver does with struct tdx_report_req. */
function tdxDriver(change: (result: IoctlResult) => IoctlResult = (result) => result): IoctlRunner {
  return async (call) => {
    assert.equal(call.device, device);
    assert.equal(call.number, 0xc4405401);
    assert.deepEqual(call.pointers, []);
    const [request] = call.buffers;
    assert.equal(request?.byteLength, 1088);
    assert.ok(request.subarray(64).every((byte) => byte === 0));
    const report = new Uint8Array(1024);
    report[0] = 0x81;
    report.set(request.subarray(0, 64), 128);
    return change({ errno: 0, buffers: [concatBytes(request.subarray(0, 64), report)] });
  };
}

function openTdx(ioctl: IoctlRunner = tdxDriver()): ReturnType<typeof openTdxGuestAttester> {
  return openTdxGuestAttester({
    device,
    ioctl,
    quoteOf: async (report) => concatBytes(new Uint8Array(48), report),
  });
}

/** What the SEV guest driver does: follows the addresses of struct snp_guest_request_ioctl. */
function sevDriver(
  change: (result: IoctlResult, call: IoctlCall) => IoctlResult = (result) => result,
): IoctlRunner {
  return async (call) => {
    assert.equal(call.device, device);
    const extended = call.number === 0xc0205302;
    assert.ok(extended || call.number === 0xc0205300);
    const [argument, request, response, certificates] = call.buffers;
    assert.equal(argument?.byteLength, 32);
    assert.equal(argument[0], 1);
    assert.equal(request?.byteLength, extended ? 112 : 96);
    assert.equal(response?.byteLength, 4000);
    assert.equal(certificates?.byteLength, extended ? 0x4000 : undefined);
    assert.deepEqual(call.pointers, [
      { from: 0, offset: 8, to: 1 },
      { from: 0, offset: 16, to: 2 },
      ...(extended ? [{ from: 1, offset: 96, to: 3 }] : []),
    ]);
    const view = new DataView(request.buffer);
    // "Must be zero filled"
    assert.ok(request.subarray(68, 96).every((byte) => byte === 0));
    if (extended) assert.equal(view.getUint32(104, true), 0x4000);
    const answer = new Uint8Array(4000);
    new DataView(answer.buffer).setUint32(4, 1184, true);
    answer[32 + 0x30] = view.getUint32(64, true);
    answer.set(request.subarray(0, 64), 32 + 0x50);
    const table = new Uint8Array(0x4000);
    table.set(certificateTable({ vlek: Uint8Array.of(7, 7) }));
    return change(
      { errno: 0, buffers: [argument, request, answer, ...(extended ? [table] : [])] },
      call,
    );
  };
}

function openSev(
  ioctl: IoctlRunner = sevDriver(),
  certificates = false,
): ReturnType<typeof openSevGuestAttester> {
  return openSevGuestAttester({ device, ioctl, vmpl: 1, certificates });
}

attesterSuite("/dev/tdx_guest", {
  open: openTdx,
  type: "tdx",
  boundBy: (wire) => evidenceRange(wire, 48 + 128, 64),
});

attesterSuite("/dev/sev-guest", {
  open: () => openSev(),
  type: "snp",
  boundBy: (wire) => evidenceRange(wire, 0x50, 64),
});

test("the request numbers are those of linux/tdx-guest.h and linux/sev-guest.h", () => {
  assert.equal(TDX_CMD_GET_REPORT0, 0xc4405401);
  assert.equal(SNP_GET_REPORT, 0xc0205300);
  assert.equal(SNP_GET_EXT_REPORT, 0xc0205302);
});

test("an extended report brings the host's certificates, and the VMPL that was asked for", async () => {
  const wire = await openSev(sevDriver(), true).attest(REPORT_DATA);
  assert.deepEqual(wire.collateral, { vlek: "Bwc" });
  assert.deepEqual(evidenceRange(wire, 0x30, 1), Uint8Array.of(1));
  assert.deepEqual((await openSev().attest(REPORT_DATA)).collateral, {});
});

test("a busy device is asked again, a bounded number of times", async () => {
  let left = 2;
  const busyTdx = openTdx(tdxDriver((result) => ({ ...result, errno: (left -= 1) >= 0 ? 16 : 0 })));
  await busyTdx.attest(REPORT_DATA);
  left = 100;
  await unavailable(busyTdx.attest(REPORT_DATA), /errno 16/);
  assert.equal(left, 95);
  // EIO with VMM error 2 (SNP_GUEST_VMM_ERR_BUSY) in exitinfo2.
  const throttled = Uint8Array.from({ length: 32 }, (_, i) => (i === 28 ? 2 : 0));
  left = 1;
  const busySev = openSev(
    sevDriver((result) =>
      (left -= 1) >= 0 ? { errno: 5, buffers: [throttled, ...result.buffers.slice(1)] } : result,
    ),
  );
  await busySev.attest(REPORT_DATA);
  left = 100;
  await unavailable(busySev.attest(REPORT_DATA), /errno 5, firmware error 0, VMM error 2/);
  assert.equal(left, 95);
});

test("a report over other report data, short buffers, bad status and errors are refused", async () => {
  const swapped: IoctlRunner = (call) =>
    tdxDriver()({ ...call, buffers: [concatBytes(OTHER_DATA, new Uint8Array(1024))] });
  await unavailable(openTdx(swapped).attest(REPORT_DATA), /other report data/);
  for (const [buffers, message] of [
    [[new Uint8Array(1088)], /not a TDREPORT/],
    [[new Uint8Array(64)], /not a TDREPORT/],
    [[], /not a TDREPORT/],
  ] as const)
    await unavailable(
      openTdx(tdxDriver(() => ({ errno: 0, buffers }))).attest(REPORT_DATA),
      message,
    );
  await unavailable(
    openTdx(tdxDriver((result) => ({ ...result, errno: 5 }))).attest(REPORT_DATA),
    /errno 5/,
  );

  const swappedSnp: IoctlRunner = (call) => {
    const other = snpReportCall({ device, vmpl: 1, certificates: false, reportData: OTHER_DATA });
    return sevDriver()({ ...call, buffers: other.buffers });
  };
  await unavailable(openSev(swappedSnp).attest(REPORT_DATA), /other report data/);
  const answer = (at: number, value: number): IoctlRunner =>
    sevDriver((result) => {
      result.buffers[2]?.set([value], at);
      return result;
    });
  await unavailable(openSev(answer(0, 0x16)).attest(REPORT_DATA), /status 22/);
  await unavailable(openSev(answer(4, 0)).attest(REPORT_DATA), /1024 bytes, expected 0 and 1184/);
  await unavailable(
    openSev(sevDriver(() => ({ errno: 0, buffers: [] }))).attest(REPORT_DATA),
    /other sizes/,
  );
});

/** The drivers' side in C, put under perl's ioctl: what they see of the addresses in our buffers. */
function compileDrivers(): string | null {
  if (spawnSync("cc", ["--version"]).status !== 0 || spawnSync("perl", ["-e", "1"]).status !== 0)
    return null;
  const folder = mkdtempSync(join(tmpdir(), "ppml-drivers-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const source = join(import.meta.dirname, "guest-drivers.c");
  const library = join(folder, "drivers.so");
  const made = spawnSync("cc", ["-shared", "-fPIC", "-o", library, source], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  const perl = join(folder, "perl");
  writeFileSync(perl, `#!/bin/sh\nLD_PRELOAD='${library}' exec /usr/bin/env perl "$@"\n`, {
    mode: 0o755,
  });
  return perl;
}

const perl = process.platform === "linux" ? compileDrivers() : null;
const skip = perl === null ? "perl and a C compiler are not installed" : false;

test(
  "the drivers find every buffer by its address, and what they write comes back",
  { skip },
  async () => {
    const ioctl = perlIoctlBy(perl ?? "");
    const path = import.meta.filename;
    for (const certificates of [false, true]) {
      const sev = openSevGuestAttester({ device: path, ioctl, vmpl: 2, certificates });
      const wire = await sev.attest(REPORT_DATA);
      assert.deepEqual(evidenceRange(wire, 0x50, 64), REPORT_DATA);
      assert.deepEqual(evidenceRange(wire, 0x30, 1), Uint8Array.of(2));
      assert.deepEqual(wire.collateral, certificates ? { vcek: "aGVsbG8" } : {});
    }
    const tdx = openTdxGuestAttester({ device: path, ioctl, quoteOf: async (report) => report });
    assert.deepEqual(evidenceRange(await tdx.attest(REPORT_DATA), 128, 64), REPORT_DATA);
  },
);

test("a plain file is told to be no guest device, by the real ioctl", async () => {
  const path = import.meta.filename;
  const tdx = openTdxGuestAttester({
    device: path,
    ioctl: perlIoctl,
    quoteOf: async (report) => report,
  });
  await unavailable(tdx.attest(REPORT_DATA), /no TDX guest device|perl, which makes ioctls/);
  const sev = openSevGuestAttester({ device: path, ioctl: perlIoctl, vmpl: 0, certificates: true });
  await unavailable(sev.attest(REPORT_DATA), /no SEV-SNP guest device|perl, which makes ioctls/);
});
