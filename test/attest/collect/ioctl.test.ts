import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { iowr, perlIoctl, perlIoctlBy } from "../../../src/attest/collect/ioctl.ts";
import { isPpmlError, utf8 } from "../../../src/base/index.ts";

const perl = process.platform === "linux" && spawnSync("perl", ["-e", "1"]).status === 0;
const skip = perl ? false : "Linux with perl is needed to make ioctls";

function file(content: string): { path: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), "ppml-ioctl-"));
  const path = join(folder, "plain'; print `id` #.txt");
  writeFileSync(path, content);
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

/** FIONREAD of Linux: how many bytes can be read, an int. */
const FIONREAD = 0x541b;

test("ioctl numbers are those of the kernel's headers", () => {
  // Linux Documentation: PAGEMAP_SCAN is _IOWR('f', 16, struct pm_scan_arg) of 96 bytes.
  assert.equal(iowr("f", 16, 96), 0xc0606610);
  assert.equal(iowr("T", 1, 1088), 0xc4405401);
  assert.equal(iowr("S", 0, 32), 0xc0205300);
});

test(
  "a real ioctl gives back what the kernel wrote, whatever the file's name is",
  { skip },
  async () => {
    using plain = file("12345");
    const buffers = [new Uint8Array(4), utf8("untouched"), new Uint8Array()];
    const result = await perlIoctl({ device: plain.path, number: FIONREAD, buffers, pointers: [] });
    assert.equal(result.errno, 0);
    assert.deepEqual(result.buffers, [
      Uint8Array.of(5, 0, 0, 0),
      utf8("untouched"),
      new Uint8Array(),
    ]);
  },
);

test("the kernel reads and writes through the addresses of other buffers", { skip }, async (t) => {
  // struct pm_scan_arg: size 0, flags 8, start 16, end 24, walk_end 32, vec 40, vec_len 48,
  // max_pages 56, category_inverted 64, category_mask 72, category_anyof_mask 80, return_mask 88.
  const argument = new Uint8Array(96);
  const view = new DataView(argument.buffer);
  view.setBigUint64(0, 96n, true);
  view.setBigUint64(24, 0x7fff_0000_0000n, true);
  view.setBigUint64(48, 4n, true);
  view.setBigUint64(72, 8n, true);
  view.setBigUint64(88, 8n, true);
  const result = await perlIoctl({
    device: "/proc/self/pagemap",
    number: iowr("f", 16, 96),
    buffers: [argument, new Uint8Array(4 * 24)],
    pointers: [{ from: 0, offset: 40, to: 1 }],
  }).catch((error: unknown) => {
    if (isPpmlError(error) && /perl ended|not be used/.test(error.message)) return null;
    throw error;
  });
  if (result === null || result.errno !== 0) return t.skip("the kernel has no PAGEMAP_SCAN");
  const regions = new DataView(result.buffers[1]?.buffer ?? new ArrayBuffer(0));
  // struct page_region: start, end, categories. PAGE_IS_PRESENT is 8.
  const [start, end, categories] = [0, 8, 16].map((at) => regions.getBigUint64(at, true));
  assert.ok(start !== undefined && end !== undefined && start > 0n && end > start);
  assert.equal(start % 4096n, 0n);
  assert.equal(categories, 8n);
});

test("an ioctl that a plain file does not know gives its errno", { skip }, async () => {
  using plain = file("");
  const number = iowr("T", 1, 1088);
  const buffers = [new Uint8Array(1088)];
  const { errno } = await perlIoctl({ device: plain.path, number, buffers, pointers: [] });
  // ENOTTY
  assert.equal(errno, 25);
});

test("a device that is not there is told by its name", { skip }, async () => {
  await assert.rejects(
    perlIoctl({
      device: "/dev/tdx_guest-none",
      number: 1,
      buffers: [new Uint8Array(4)],
      pointers: [],
    }),
    (error: unknown) =>
      isPpmlError(error, "attest.unavailable") && /tdx_guest-none is not there/.test(error.message),
  );
});

test("a pointer out of its buffer is a fault of ours and reaches no kernel", async () => {
  for (const pointer of [
    { from: 0, offset: 0, to: 1 },
    { from: 0, offset: 1, to: 0 },
    { from: 1, offset: 0, to: 0 },
  ])
    await assert.rejects(
      perlIoctl({
        device: "/dev/null",
        number: 1,
        buffers: [new Uint8Array(8)],
        pointers: [pointer],
      }),
      (error: unknown) => isPpmlError(error, "base.internal"),
    );
});

test("a device that does not answer is given up in its time, and a perl that is missing is told", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ppml-ioctl-"));
  try {
    const slow = join(folder, "perl");
    writeFileSync(slow, "#!/bin/sh\nexec sleep 20\n", { mode: 0o755 });
    const call = { device: "/dev/slow", number: 1, buffers: [new Uint8Array(4)], pointers: [] };
    for (const [runner, message] of [
      [perlIoctlBy(slow, 200), /\/dev\/slow did not answer within 200 ms/],
      [perlIoctlBy(join(folder, "none")), /perl, which makes ioctls here, cannot be started/],
    ] as const)
      await assert.rejects(
        runner(call),
        (error: unknown) => isPpmlError(error, "attest.unavailable") && message.test(error.message),
      );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
