import { concatBytes, PpmlError, sha384, utf8 } from "../../base/index.ts";
import { planImage } from "./image-plan.ts";
import type { ImagePlan } from "./image-plan.ts";
import { transferFile } from "./image-transfer.ts";
import type { ImageFile } from "./image-transfer.ts";

/** The flags of the TEE's Node, part of what is measured; none of them opens an inspector. */
export const TEE_NODE_FLAGS: readonly string[] = [
  "--disable-warning=ExperimentalWarning",
  // SIGUSR1 would open the inspector.
  "--disable-sigusr1",
];

const DOMAIN = "ppml simulated image v1\n";
/** Files in flight: enough to overlap reading, hashing and writing on two cores. */
const CONCURRENCY = 3;

/** An image's identity and what it was computed from. */
export type MeasuredImage = {
  /** 48 bytes: what a policy's `measurement` names. */
  readonly measurement: Uint8Array;
  /** Sorted by the bytes of their paths. */
  readonly files: readonly ImageFile[];
};

/**
 * Computes what a snapshot of these files would measure, without making one.
 * `entries` as for `planImage`: the first boots. `config` becomes the image's config.json.
 * @throws launch.image
 * @see docs/attestation.md section "The measured image"
 */
export async function measureImage(options: {
  readonly imageRoot: string;
  readonly entries: readonly string[];
  readonly config: Uint8Array;
  readonly nodeBinary?: string;
  readonly without?: readonly string[];
}): Promise<MeasuredImage> {
  const plan = planImage(options);
  return measurePlan({ plan, config: options.config, targetOf: () => null });
}

/** Hashes each file of a plan on its way to `targetOf(path)` (null: nowhere), then measures. */
export async function measurePlan(options: {
  readonly plan: ImagePlan;
  readonly config: Uint8Array;
  readonly targetOf: (path: string) => string | null;
}): Promise<MeasuredImage> {
  const { plan, targetOf } = options;
  const queue = [...plan.files, { path: "config.json", from: { bytes: options.config } }];
  if (new Set(queue.map(({ path }) => path)).size !== queue.length)
    throw new PpmlError("launch.image", "two files would lie at the same place of the image");
  const files: ImageFile[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let file = queue[next++]; file !== undefined; file = queue[next++])
      files.push(await transferFile(file, targetOf(file.path)));
  };
  const done = await Promise.allSettled(Array.from({ length: CONCURRENCY }, worker));
  for (const result of done) if (result.status === "rejected") throw asImageError(result.reason);
  files.sort((a, b) => Buffer.compare(utf8(a.path), utf8(b.path)));
  return { measurement: measurementOf(commandOf(plan), files), files };
}

/** The command line after the Node binary: the flags, then the entry that boots. */
export function commandOf(plan: ImagePlan): readonly string[] {
  return [...TEE_NODE_FLAGS, plan.entryPaths[0] ?? ""];
}

/**
 * SHA-384 over the command and the sorted files. Every part has its length before it or a fixed
 * one, so that no two images have the same bytes.
 * @see docs/attestation.md section "The measured image"
 */
function measurementOf(command: readonly string[], files: readonly ImageFile[]): Uint8Array {
  return sha384(
    utf8(DOMAIN),
    u32(command.length),
    ...command.map((argument) => text(argument)),
    u32(files.length),
    ...files.map((file) =>
      concatBytes(
        text(file.path),
        Uint8Array.of(file.executable ? 1 : 0),
        u64(file.size),
        file.sha256,
      ),
    ),
  );
}

function text(value: string): Uint8Array {
  const bytes = utf8(value);
  return concatBytes(u32(bytes.byteLength), bytes);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

function asImageError(cause: unknown): PpmlError {
  if (cause instanceof PpmlError) return cause;
  const why = cause instanceof Error ? cause.message : "unknown";
  return new PpmlError("launch.image", `the image cannot be read or copied: ${why}`, { cause });
}
