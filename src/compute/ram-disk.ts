import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { PpmlError } from "../base/index.ts";
import type { Ran, RunCommand } from "./run-command.ts";

const HDIUTIL = "/usr/bin/hdiutil";
const NEWFS = "/sbin/newfs_hfs";
const DISKUTIL = "/usr/sbin/diskutil";

const PREFIX = "ppml-ram-";
const SECTOR_BYTES = 512;
/** What HFS+ itself needs of the disk. */
const OVERHEAD_BYTES = 8 * 1024 * 1024;
const DEVICE = /^\/dev\/disk\d+$/;

/** Beside each RAM disk's folder: whose it is, so that a later start can clear up after a crash. */
const recordSchema = z.strictObject({
  pid: z.int().positive(),
  sectors: z.int().positive(),
  device: z.string().regex(DEVICE).nullable(),
});
type RecordOfDisk = z.infer<typeof recordSchema>;

/** A mounted RAM disk; disposing takes it away. */
export type RamDisk = Disposable & { readonly path: string };

/** A RAM disk's surroundings. */
export type RamDiskPlace = {
  /** Folder for mount points, which only this user can change: os.tmpdir() on macOS. */
  readonly parent: string;
  readonly run: RunCommand;
  readonly pid: number;
  readonly isAlive: (pid: number) => boolean;
};

/**
 * Makes an HFS+ volume in memory on macOS, not shown in Finder, in a folder of mode 0700; disposing
 * detaches it. RAM disks that a killed process left behind are detached first.
 * @throws launch.isolation where a step fails; what was made until then is taken back
 * @see man pages hdiutil(1), newfs_hfs(8), diskutil(8)
 */
export function makeRamDisk(place: RamDiskPlace, bytes: number): RamDisk {
  const parent = realpathSync(place.parent);
  detachLeftovers({ ...place, parent });
  const sectors = Math.ceil((bytes + OVERHEAD_BYTES) / SECTOR_BYTES);
  const path = mkdtempSync(join(parent, PREFIX)); // mode 0700
  const { run, pid } = place;
  const record = (device: string | null): void => {
    const said: RecordOfDisk = { pid, sectors, device };
    writeFileSync(recordPath(path), JSON.stringify(said), { mode: 0o600 });
  };
  let device: string | null = null;
  try {
    record(null);
    const attached = run(HDIUTIL, ["attach", "-nomount", `ram://${sectors}`]);
    device = deviceOf(attached);
    record(device);
    const raw = device.replace("/dev/disk", "/dev/rdisk");
    expectDone(run(NEWFS, ["-v", "ppml", raw]), "format the RAM disk (newfs_hfs)");
    const mount = ["mount", "nobrowse", "-mountPoint", path, device];
    expectDone(run(DISKUTIL, mount), "mount the RAM disk (diskutil)");
    chmodSync(path, 0o700); // of the volume's own root now
    const made = device;
    return { path, [Symbol.dispose]: () => takeAway({ run, path, device: made }) };
  } catch (error) {
    takeAway({ run, path, device });
    throw error;
  }
}

function detachLeftovers(place: RamDiskPlace): void {
  const names = readdirSync(place.parent).filter(
    (name) => name.startsWith(PREFIX) && name.endsWith(".json"),
  );
  for (const name of names) {
    const path = join(place.parent, name.slice(0, -".json".length));
    const record = readRecord(recordPath(path));
    if (record === null || place.isAlive(record.pid)) continue;
    const { device, sectors } = record;
    const isOurs =
      device !== null && isRamDisk(place.run(HDIUTIL, ["info"]), { device, sectors, path });
    if (isOurs) {
      takeAway({ run: place.run, path, device });
      continue;
    }
    try {
      takeAway({ run: place.run, path, device: null });
    } catch {
      // Something is in the folder and we cannot tell what: it is left, with its record, for the
      // next start. This job gets a disk of its own.
    }
  }
}

function readRecord(path: string): RecordOfDisk | null {
  try {
    const parsed = recordSchema.safeParse(JSON.parse(readFileSync(path, "utf8")));
    return parsed.success ? parsed.data : null;
  } catch {
    // Gone meanwhile, or not ours: nothing to clear up by it.
    return null;
  }
}

/**
 * Tells whether hdiutil knows the device as a RAM disk of that size which is mounted in that folder
 * or not at all. Device numbers are used again: another disk is never detached.
 */
function isRamDisk(
  info: Ran,
  disk: { readonly device: string; readonly sectors: number; readonly path: string },
): boolean {
  if (info.status !== 0) return false;
  return info.stdout.split(/^=+$/m).some((block) => {
    if (!new RegExp(`^image-path\\s*:\\s*ram://${disk.sectors}\\s*$`, "m").test(block))
      return false;
    const devices = block.split("\n").filter((line) => line.startsWith("/dev/"));
    const [only] = devices;
    if (only === undefined || devices.length !== 1) return false;
    const [device = "", ...rest] = only.split("\t").map((part) => part.trim());
    const mounted = rest.filter((part) => part.startsWith("/"));
    return device === disk.device && mounted.every((where) => where === disk.path);
  });
}

/** Detaches, by force where it must be, and removes folder and record. */
function takeAway(disk: {
  readonly run: RunCommand;
  readonly path: string;
  readonly device: string | null;
}): void {
  const { run, path, device } = disk;
  if (device !== null) {
    const isDetached =
      run(HDIUTIL, ["detach", device]).status === 0 ||
      run(HDIUTIL, ["detach", device, "-force"]).status === 0;
    if (!isDetached)
      throw new PpmlError(
        "launch.isolation",
        `the RAM disk ${device} on ${path} cannot be detached and may hold opened data: run hdiutil detach ${device} -force`,
        { detail: { device, path } },
      );
  }
  if (existsSync(path)) rmdirSync(path);
  rmSync(recordPath(path), { force: true });
}

function recordPath(path: string): string {
  return `${path}.json`;
}

function deviceOf(attached: Ran): string {
  expectDone(attached, "make a RAM disk (hdiutil attach)");
  const device = attached.stdout.trim();
  if (DEVICE.test(device)) return device;
  throw new PpmlError(
    "launch.isolation",
    "hdiutil attach named no device: expected one such as /dev/disk4",
  );
}

function expectDone({ status }: Ran, what: string): void {
  if (status === 0) return;
  throw new PpmlError(
    "launch.isolation",
    `macOS could not ${what}: ${status === null ? "it did not run or took over 30 s" : `it ended with ${status}`}; opened columns are not put on a disk: free memory, or run jobs on Linux`,
  );
}
