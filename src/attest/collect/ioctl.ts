import { spawn } from "node:child_process";
import { concatBytes, PpmlError, utf8 } from "../../base/index.ts";

/**
 * One ioctl: its number, the device, and the buffers that it reads and writes. Buffer 0 is the
 * argument. A pointer says that at `offset` of buffer `from` stands the address of buffer `to`
 * (u64, in the machine's order); what is in its 8 bytes before does not matter.
 */
export type IoctlCall = {
  readonly device: string;
  readonly number: number;
  readonly buffers: readonly Uint8Array[];
  readonly pointers: readonly {
    readonly from: number;
    readonly offset: number;
    readonly to: number;
  }[];
};

/** What came of an ioctl: 0 or the system's errno, and the buffers as the kernel left them. */
export type IoctlResult = { readonly errno: number; readonly buffers: readonly Uint8Array[] };

/** Makes an ioctl. Rejects with attest.unavailable where it cannot be made at all. */
export type IoctlRunner = (call: IoctlCall) => Promise<IoctlResult>;

/** _IOWR of Linux on x86-64: direction 3, size, type, number. @see Linux include/uapi/asm-generic/ioctl.h */
export function iowr(type: string, number: number, sizeBytes: number): number {
  return ((3 << 30) | (sizeBytes << 16) | (type.charCodeAt(0) << 8) | number) >>> 0;
}

/** Bounds of all buffers of one call, in bytes. */
const MAX_CALL_BYTES = 256 * 1024;
const TIMEOUT_MS = 60_000;

/**
 * Node has no ioctl. Perl, which practically every Linux has, makes this one call: its program is
 * fixed, and everything that varies comes over standard input, so that nothing of it is ever code.
 */
const PROGRAM = String.raw`
use strict; use warnings;
binmode STDIN; binmode STDOUT;
my $in = do { local $/; <STDIN> };
my $at = 0;
sub number { my $n = unpack("N", substr($in, $at, 4)); $at += 4; return $n }
sub bytes { my $n = number(); my $b = substr($in, $at, $n); $at += $n; return $b }
my $request = number();
my $device = bytes();
my (@buffers, @lengths);
for (1 .. number()) {
  push @buffers, bytes();
  push @lengths, length $buffers[-1];
  $buffers[-1] .= "\0"; # a copy of its own, whose address stays
}
for (1 .. number()) {
  my ($from, $offset, $to) = (number(), number(), number());
  substr($buffers[$from], $offset, 8) = pack("P", $buffers[$to]);
}
sysopen(my $file, $device, 2) or die "open: " . ($! + 0) . "\n";
my $made = ioctl($file, $request, $buffers[0]);
my $errno = defined $made ? 0 : $! + 0;
print pack("N", $errno);
print pack("N/a*", substr($buffers[$_], 0, $lengths[$_])) for 0 .. $#buffers;
`;

/** Makes ioctls by the system's perl. @see IoctlRunner */
export const perlIoctl: IoctlRunner = perlIoctlBy("perl");

/**
 * Makes ioctls by a given perl: a path, or a name that is looked for in the system's folders. A
 * device that does not answer within `timeoutMs` is given up.
 */
export function perlIoctlBy(perl: string, timeoutMs = TIMEOUT_MS): IoctlRunner {
  return async (call) => {
    const input = encodeCall(call);
    const { code, stdout, stderr } = await runPerl({ perl, input, timeoutMs });
    if (code === null)
      throw new PpmlError(
        "attest.unavailable",
        `${call.device} did not answer within ${timeoutMs} ms, or its program was ended`,
        { detail: { device: call.device } },
      );
    if (code !== 0) throw openFailed(call.device, stderr);
    return decodeResult(stdout, call);
  };
}

/** Input of the program: every number is a u32, most significant byte first. */
function encodeCall(call: IoctlCall): Uint8Array {
  for (const { from, offset, to } of call.pointers)
    if (offset + 8 > (call.buffers[from]?.byteLength ?? 0) || call.buffers[to] === undefined)
      throw new PpmlError("base.internal", `the ioctl's pointer at ${offset} is out of its buffer`);
  return concatBytes(
    u32(call.number),
    sized(utf8(call.device)),
    u32(call.buffers.length),
    ...call.buffers.map(sized),
    u32(call.pointers.length),
    ...call.pointers.flatMap(({ from, offset, to }) => [u32(from), u32(offset), u32(to)]),
  );
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function sized(bytes: Uint8Array): Uint8Array {
  return concatBytes(u32(bytes.byteLength), bytes);
}

function decodeResult(stdout: Uint8Array, call: IoctlCall): IoctlResult {
  const view = new DataView(stdout.buffer, stdout.byteOffset, stdout.byteLength);
  const lengths = call.buffers.map((buffer) => buffer.byteLength);
  const expected = lengths.reduce((sum, length) => sum + 4 + length, 4);
  if (stdout.byteLength !== expected)
    throw new PpmlError(
      "attest.unavailable",
      `expected ${expected} bytes from the program that makes ioctls, got ${stdout.byteLength}`,
    );
  let at = 4;
  const buffers = lengths.map((length) => {
    const bytes = stdout.slice(at + 4, at + 4 + length);
    at += 4 + length;
    return bytes;
  });
  return { errno: view.getUint32(0), buffers };
}

type Ended = { readonly code: number | null; readonly stdout: Uint8Array; readonly stderr: string };

function runPerl(options: {
  readonly perl: string;
  readonly input: Uint8Array;
  readonly timeoutMs: number;
}): Promise<Ended> {
  const { perl, input, timeoutMs } = options;
  return new Promise((resolve, reject) => {
    // No environment: PERL5OPT and PERL5LIB would put other code into the program.
    const child = spawn(perl, ["-e", PROGRAM], {
      env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    const out: Buffer[] = [];
    let size = 0;
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.byteLength;
      if (size > MAX_CALL_BYTES) child.kill("SIGKILL");
      else out.push(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr = (stderr + chunk.toString("latin1")).slice(0, 1000);
    });
    child.on("error", (cause) => {
      clearTimeout(timer);
      reject(
        new PpmlError(
          "attest.unavailable",
          "perl, which makes ioctls here, cannot be started: install perl, or use a kernel with configfs-tsm (Linux 6.7 or newer)",
          { cause },
        ),
      );
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout: new Uint8Array(Buffer.concat(out)), stderr });
    });
    // A perl that ended before it read all says so by its code.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

/** The program says the errno of a failed open; the names are those that people look for. */
function openFailed(device: string, stderr: string): PpmlError {
  const errno = /^open: (\d+)/.exec(stderr)?.[1];
  const reasons: Readonly<Record<string, string>> = {
    "2": "is not there: this machine has no such device, or its driver is not loaded",
    "6": "has no driver",
    "13": "may not be used by this user: run as root, or as a member of the device's group",
    "16": "is in use by another process",
    "19": "has no driver",
  };
  const reason = errno === undefined ? undefined : (reasons[errno] ?? `gave errno ${errno}`);
  return new PpmlError(
    "attest.unavailable",
    reason === undefined
      ? `the ioctl of ${device} could not be made: ${stderr.trim() || "perl ended without a word"}`
      : `${device} ${reason}`,
    { detail: { device } },
  );
}
