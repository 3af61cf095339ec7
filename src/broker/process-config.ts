import { createReadStream } from "node:fs";
import { z } from "zod";
import { PpmlError, Secret } from "../base/index.ts";
import { parseJson } from "../format/jcs.ts";
import { modeSchema } from "../format/kek.ts";
import { resourcePathSchema } from "../format/resource.ts";
import { parseWith } from "../format/schema.ts";
import type { VaultRoot } from "../key/root-key.ts";
import { collateralSettingSchema } from "./collateral.ts";
import { LOG_LEVELS } from "./logger.ts";
import { maaSettingSchema } from "./maa-providers.ts";

const MAX_CONFIG_BYTES = 64 * 1024;
const MAX_PASSPHRASE_BYTES = 4096;
const PASSPHRASE_FD = 3;

const pathSchema = z.string().min(1).max(4096);

/**
 * The line of JSON that a broker process reads from its standard input, which then stays open: the
 * broker ends when it closes. Without a root-key file the passphrase comes on descriptor 3.
 */
const processConfigSchema = z.strictObject({
  v: z.literal(1),
  listen: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("socket"), path: pathSchema }),
    z.strictObject({
      kind: z.literal("tls"),
      host: z.string().min(1).max(253),
      /** 0 takes a free one. */
      port: z.int().min(0).max(65_535),
      /** Its own, which it makes in a folder, or files. */
      certificate: z.discriminatedUnion("kind", [
        z.strictObject({ kind: z.literal("own"), folder: pathSchema }),
        z.strictObject({ kind: z.literal("files"), certificate: pathSchema, key: pathSchema }),
      ]),
      /** Beside it, for Gramine's unmodified clients: one resource, with the same certificate. */
      secretProvisioning: z
        .strictObject({
          host: z.string().min(1).max(253),
          port: z.int().min(0).max(65_535),
          resource: resourcePathSchema,
        })
        .nullable(),
    }),
  ]),
  /** The folder that `createBrokerState` made. */
  stateDir: pathSchema,
  vault: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("embedded"), path: pathSchema }),
    z.strictObject({
      kind: z.literal("azure"),
      url: z.string().max(200),
      mode: modeSchema,
      transport: z.enum(["direct", "environment"]),
      tenantId: z.guid().nullable(),
    }),
  ]),
  /** Of the embedded vault, and of the broker's own keys. */
  rootKeyFile: pathSchema.nullable(),
  collateral: collateralSettingSchema,
  /** Providers of MAA whose tokens are taken. */
  maaProviders: z.array(maaSettingSchema).max(20),
  logLevel: z.enum(LOG_LEVELS),
});
export type ProcessConfig = z.infer<typeof processConfigSchema>;

/** Reads the configuration from standard input. @throws config.invalid */
export async function readProcessConfig(): Promise<ProcessConfig> {
  const what = "the broker's configuration";
  const value = parseJson(await readConfigLine(), what);
  return parseWith(processConfigSchema, value, { what, code: "config.invalid" });
}

/** The vault's root: its file, or the passphrase that comes on descriptor 3. @throws key.vault_locked */
export async function readVaultRoot(rootKeyFile: string | null): Promise<VaultRoot> {
  if (rootKeyFile !== null) return { kind: "file", path: rootKeyFile };
  const passphrase = new Uint8Array(MAX_PASSPHRASE_BYTES);
  let length = 0;
  const stream = createReadStream("", { fd: PASSPHRASE_FD, highWaterMark: MAX_PASSPHRASE_BYTES });
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array) || length + chunk.byteLength > MAX_PASSPHRASE_BYTES)
      throw new PpmlError("key.vault_locked", "the passphrase is too long");
    passphrase.set(chunk, length);
    length += chunk.byteLength;
    chunk.fill(0);
  }
  const secret = Secret.copy(passphrase.subarray(0, length));
  passphrase.fill(0);
  return { kind: "passphrase", passphrase: secret };
}

function readConfigLine(): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let bytes = new Uint8Array(0);
    const fail = (why: string): void =>
      reject(new PpmlError("config.invalid", `expected one line of JSON: ${why}`));
    process.stdin.on("data", (chunk: Uint8Array) => {
      bytes = new Uint8Array(Buffer.concat([bytes, chunk]));
      const end = bytes.indexOf(0x0a);
      if (end < 0 && bytes.byteLength <= MAX_CONFIG_BYTES) return;
      process.stdin.removeAllListeners("data");
      if (end < 0) fail(`it is longer than ${MAX_CONFIG_BYTES} bytes`);
      else resolve(bytes.subarray(0, end));
    });
    process.stdin.once("end", () => fail("the input ended"));
    process.stdin.once("error", () => fail("the input cannot be read"));
  });
}
