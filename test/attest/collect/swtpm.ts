import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TpmChannel } from "../../../src/attest/collect/tpm-channel.ts";
import { readTpmPublic } from "../../../src/attest/collect/tpm-commands.ts";
import { encodeTpmCommand, u16, u32 } from "../../../src/attest/collect/tpm-exchange.ts";
import { parseTpmPublic } from "../../../src/attest/evidence/tpm-public.ts";
import { concatBytes } from "../../../src/base/index.ts";
import { hclReportBytes } from "./hcl-bytes.ts";

const OWNER = 0x40000001;
const AK = 0x81000003;
const NV_INDEX = 0x01400001;

/** A software TPM, reached over its socket as a device is: one command, one response. */
export type Swtpm = TpmChannel & {
  /** Puts an attestation key and a report where Azure's paravisor has them. */
  readonly provision: (tee: "snp" | "tdx") => Promise<void>;
  /** Takes both away again. */
  readonly forget: () => Promise<void>;
  readonly stop: () => void;
};

/** Starts swtpm with a state of its own; null where it is not installed. */
export async function startSwtpm(): Promise<Swtpm | null> {
  if (spawnSync("swtpm", ["--version"]).status !== 0) return null;
  const folder = mkdtempSync(join(tmpdir(), "ppml-swtpm-"));
  const path = join(folder, "tpm.sock");
  const child = spawn(
    "swtpm",
    [
      "socket",
      "--tpm2",
      `--tpmstate=dir=${folder}`,
      `--server=type=unixio,path=${path}`,
      `--ctrl=type=unixio,path=${path}.ctrl`,
      "--flags=not-need-init,startup-clear",
    ],
    { stdio: "ignore" },
  );
  for (let waited = 0; waited < 200 && !existsSync(path); waited += 1) await sleep(25);
  child.unref();
  const socket = connect(path);
  socket.unref();
  let last: Promise<unknown> = Promise.resolve();
  const transmit = (command: Uint8Array): Promise<Uint8Array> => {
    const turn = last.then(() => {
      socket.ref();
      socket.write(command);
      return readResponse(socket).finally(() => socket.unref());
    });
    last = turn;
    return turn;
  };
  const tpm: TpmChannel = { transmit };
  return {
    transmit,
    provision: async (tee) => {
      await forget(tpm);
      await provision(tpm, tee);
    },
    forget: () => forget(tpm),
    stop: () => {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function readResponse(socket: ReturnType<typeof connect>): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let got = Buffer.alloc(0);
    const closed = (): void => reject(new Error("swtpm closed its socket"));
    const take = (chunk: Buffer): void => {
      got = Buffer.concat([got, chunk]);
      if (got.byteLength < 10 || got.byteLength < got.readUInt32BE(2)) return;
      socket.off("data", take).off("close", closed);
      resolve(new Uint8Array(got));
    };
    socket.on("data", take);
    socket.once("close", closed);
  });
}

type Command = Omit<Parameters<typeof encodeTpmCommand>[0], "password">;

async function run(tpm: TpmChannel, command: Command): Promise<Uint8Array> {
  const { code } = command;
  const response = await tpm.transmit(encodeTpmCommand({ ...command, password: true }));
  const result = new DataView(response.buffer).getUint32(6);
  if (result !== 0)
    throw new Error(`TPM command 0x${code.toString(16)} gave 0x${result.toString(16)}`);
  return response;
}

async function provision(tpm: TpmChannel, tee: "snp" | "tdx"): Promise<void> {
  // A restricted RSA signing key: type, nameAlg, attributes, no policy, no symmetric, RSASSA,
  // SHA-256, 2048 bits, default exponent, no unique.
  const area = concatBytes(
    ...[1, 0x0b, 0x0005, 0x0072, 0, 0x10, 0x14, 0x0b, 2048, 0, 0, 0].map(u16),
  );
  // TPM2_CreatePrimary: inSensitive, inPublic, outsideInfo, creationPCR.
  const created = await run(tpm, {
    code: 0x131,
    handles: [OWNER],
    parameters: concatBytes(sized(concatBytes(u16(0), u16(0))), sized(area), u16(0), u32(0)),
  });
  const transient = new DataView(created.buffer).getUint32(10);
  // TPM2_EvictControl, then TPM2_FlushContext.
  await run(tpm, { code: 0x120, handles: [OWNER, transient], parameters: u32(AK) });
  const flush = { code: 0x165, handles: [transient], parameters: new Uint8Array() };
  await tpm.transmit(encodeTpmCommand({ ...flush, password: false }));
  const attestationKey = parseTpmPublic(await readTpmPublic(tpm, AK)).publicKey;
  const report = hclReportBytes({ tee, attestationKey });
  const nvPublic = concatBytes(
    u32(NV_INDEX),
    u16(0x0b),
    u32(0x00060006),
    u16(0),
    u16(report.byteLength),
  );
  // TPM2_NV_DefineSpace, then TPM2_NV_Write.
  const parameters = concatBytes(u16(0), sized(nvPublic));
  await run(tpm, { code: 0x12a, handles: [OWNER], parameters });
  for (let offset = 0; offset < report.byteLength; offset += 512)
    await run(tpm, {
      code: 0x137,
      handles: [OWNER, NV_INDEX],
      parameters: concatBytes(sized(report.subarray(offset, offset + 512)), u16(offset)),
    });
}

/** TPM2_NV_UndefineSpace and TPM2_EvictControl; what is not there is gone already. */
async function forget(tpm: TpmChannel): Promise<void> {
  for (const [code, handles, parameters] of [
    [0x122, [OWNER, NV_INDEX], new Uint8Array()],
    [0x120, [OWNER, AK], u32(AK)],
  ] as const)
    await tpm.transmit(encodeTpmCommand({ code, handles, password: true, parameters }));
}

function sized(bytes: Uint8Array): Uint8Array {
  return concatBytes(u16(bytes.byteLength), bytes);
}
