/**
 * Seals and uploads a file to Azurite through the store of data lakes, beside the plain upload of the
 * same file by @azure/storage-blob (uploadFile, with its defaults and with 8 blocks of 8 MiB at once).
 * The sides alternate; Azurite is started anew for each run, outside of the time.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createDefaultHttpClient } from "@azure/core-rest-pipeline";
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import type { ContainerClient } from "@azure/storage-blob";
import { Secret } from "../src/base/index.ts";
import type { WrappedLocalKey } from "../src/format/kek.ts";
import { sealFileTo } from "../src/seal/seal-file.ts";
import { openAzureStore } from "../src/store/azure/azure-store.ts";
import { openLocalSource } from "../src/store/index.ts";
import { startAzurite } from "../src/twin/adls/azurite.ts";
import type { Azurite } from "../src/twin/adls/azurite.ts";
import { ensureAzurite } from "../tools/azurite.ts";
import { alternate, measured } from "./measure.ts";
import type { Median, Side } from "./measure.ts";
import { memoryFolder } from "./memory-folder.ts";
import { pair } from "./table.ts";
import type { Figure } from "./table.ts";

const ACCOUNT = "benchlake";
const MIB = 1024 * 1024;
const WRAPPED: WrappedLocalKey = {
  id: Buffer.alloc(16, 1).toString("base64url"),
  kekId: "bench",
  kekVersion: "0".repeat(32),
  wrapped: Buffer.alloc(384, 2).toString("base64url"),
};

type SideName = "sealed" | "plain" | "plain8";

/** Compares the speed of a sealed upload with the faster one of two plain uploads. */
export async function benchUpload(options: {
  readonly quick: boolean;
}): Promise<readonly Figure[]> {
  ensureAzurite();
  const mib = options.quick ? 320 : 1024; // above 256 MiB, so that the peer too uploads in blocks
  const folder = mkdtempSync(join(memoryFolder(), "ppml-bench-"));
  try {
    const input = join(folder, "input");
    await writeInput(input, mib);
    const uploads = {
      sealed,
      plain: plainWith({}),
      plain8: plainWith({ blockSize: 8 * MIB, concurrency: 8 }),
    };
    const side = (upload: Upload): Side => {
      return () => withAzurite(folder, (azurite) => measured(() => upload(azurite, input)));
    };
    const medians = await alternate(
      { sealed: side(uploads.sealed), plain: side(uploads.plain), plain8: side(uploads.plain8) },
      { rounds: options.quick ? 3 : 5, warmUps: 1 },
    );
    return figures(medians, mib);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Upload = (azurite: Azurite, input: string) => Promise<void>;

function figures(medians: Readonly<Record<SideName, Median>>, mib: number): readonly Figure[] {
  const speed = (name: SideName): number => mib / (medians[name].wallMs / 1000);
  const best = speed("plain") > speed("plain8") ? "plain" : "plain8";
  const others = [
    { name: "uploadFile, the faster", value: speed(best), goal: { atLeast: 0.8 } },
    { name: "uploadFile, defaults", value: speed("plain") },
    { name: "uploadFile, 8 blocks of 8 MiB", value: speed("plain8") },
  ];
  return [
    ...others.map(({ name, value, ...goal }) =>
      pair({
        what: `sealed upload ${mib} MiB`,
        ours: speed("sealed"),
        other: { name, value },
        unit: "MiB/s",
        ...goal,
      }),
    ),
    pair({
      what: "the same, CPU of the client",
      ours: medians.sealed.cpuMs / 1000,
      other: { name: "uploadFile, the faster", value: medians[best].cpuMs / 1000 },
      unit: "s",
    }),
  ];
}

async function withAzurite<T>(folder: string, use: (azurite: Azurite) => Promise<T>): Promise<T> {
  const place = join(folder, "azurite");
  mkdirSync(place);
  const azurite = await startAzurite({ account: ACCOUNT, folder: place });
  try {
    await containerOf(azurite).create();
    return await use(azurite);
  } finally {
    await azurite.close();
    rmSync(place, { recursive: true });
  }
}

function containerOf({ port, key }: Azurite): ContainerClient {
  const credential = new StorageSharedKeyCredential(ACCOUNT, Buffer.from(key).toString("base64"));
  const service = new BlobServiceClient(`http://127.0.0.1:${port}/${ACCOUNT}`, credential);
  return service.getContainerClient("data");
}

function plainWith(settings: {
  readonly blockSize?: number;
  readonly concurrency?: number;
}): Upload {
  return async (azurite, input) => {
    await containerOf(azurite).getBlockBlobClient("plain").uploadFile(input, settings);
  };
}

async function sealed(azurite: Azurite, input: string): Promise<void> {
  const plain = createDefaultHttpClient();
  using sharedKey = Secret.take(Uint8Array.from(azurite.key));
  const store = openAzureStore(`abfss://data@${ACCOUNT}.dfs.core.windows.net`, {
    credential: { getToken: () => Promise.resolve(null) },
    sharedKey,
    clientOptions: {
      httpClient: {
        // To Azurite instead of Azure; nothing else is different.
        sendRequest: (request) => {
          const { host, origin } = new URL(request.url);
          request.headers.set("host", host);
          request.allowInsecureConnection = true;
          request.url = `http://127.0.0.1:${azurite.port}${request.url.slice(origin.length)}`;
          return plain.sendRequest(request);
        },
      },
    },
  });
  using key = Secret.take(new Uint8Array(32).fill(7));
  await using plaintext = await openLocalSource(input, { name: "input", followLink: false });
  await sealFileTo(
    { store, name: "sealed" },
    { plaintext, datasetId: "5a".repeat(16), localKey: { key, wrapped: WRAPPED } },
  );
}

async function writeInput(path: string, mib: number): Promise<void> {
  const file = createWriteStream(path);
  for (let index = 0; index < mib; index += 1)
    if (!file.write(randomBytes(MIB))) await once(file, "drain");
  file.end();
  await once(file, "close");
}
