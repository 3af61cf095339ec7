import type { DfsAnswer, DfsCall } from "./dfs-call.ts";
import { requireEntry, requireWrite } from "./dfs-paths.ts";
import { bodyOf, headerOf } from "./request.ts";
import { StorageRefusal } from "./storage-error.ts";

const MAX_APPEND_BYTES = 100 * 1024 * 1024;
const MAX_READ_BYTES = 256 * 1024 * 1024;
const ID_DIGITS = 48;

/** Uploads bytes at a position; they show when they are flushed. @see Path - Update, append */
export async function appendToFile(call: DfsCall): Promise<DfsAnswer> {
  requireWrite(call, requireFile(call));
  const position = positionOf(call);
  const bytes = await bodyOf(call, MAX_APPEND_BYTES);
  const blob = blobOf(call);
  await blob.stageBlock(idAt(position), bytes, bytes.byteLength);
  if (call.query.get("flush") === "true") return flushUpTo(call, position + bytes.byteLength);
  return { status: 202 };
}

/** Makes what was appended the file's content, up to a position. @see Path - Update, flush */
export async function flushFile(call: DfsCall): Promise<DfsAnswer> {
  requireWrite(call, requireFile(call));
  return flushUpTo(call, positionOf(call));
}

/** The bytes of a file, or of a range. @see Path - Read */
export async function readFile(call: DfsCall): Promise<DfsAnswer> {
  const { services, asked, path } = call;
  services.access.requirePath(asked, { action: "read", acl: [{ path, permissions: ["r"] }] });
  requireFile(call);
  const blob = blobOf(call);
  const { contentLength = 0, etag = "" } = await blob.getProperties();
  const range = /^bytes=(\d+)-(\d*)$/.exec(
    headerOf(call, "range") ?? headerOf(call, "x-ms-range") ?? "",
  );
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(range?.[2] ? Number(range[2]) + 1 : contentLength, contentLength);
  if (start > end || end - start > MAX_READ_BYTES) throw new StorageRefusal(416, "InvalidRange");
  const bytes = end > start ? await blob.downloadToBuffer(start, end - start) : new Uint8Array(0);
  const whole = range === null;
  return {
    status: whole ? 200 : 206,
    bytes,
    headers: whole
      ? { etag }
      : { etag, "content-range": `bytes ${start}-${end - 1}/${contentLength}` },
  };
}

function requireFile(call: DfsCall) {
  const entry = requireEntry(call);
  if (entry.isDirectory) throw new StorageRefusal(409, "ResourceTypeMismatch");
  return entry;
}

async function flushUpTo(call: DfsCall, position: number): Promise<DfsAnswer> {
  const blob = blobOf(call);
  const list = await blob.getBlockList("all");
  const committed = list.committedBlocks ?? [];
  const length = committed.reduce((sum, { size }) => sum + size, 0);
  let ids = committed.map(({ name }) => name);
  if (length !== (list.blobContentLength ?? 0)) {
    // It was put in one piece: only blocks can be followed by others.
    const bytes = await blob.downloadToBuffer();
    await blob.stageBlock(idAt(0), bytes, bytes.byteLength);
    ids = [idAt(0)];
  }
  let end = list.blobContentLength ?? 0;
  const appended = (list.uncommittedBlocks ?? []).toSorted(
    (a, b) => positionIn(a.name) - positionIn(b.name),
  );
  for (const { name, size } of appended) {
    if (positionIn(name) !== end) continue;
    ids.push(name);
    end += size;
  }
  if (end !== position) throw new StorageRefusal(400, "InvalidFlushPosition");
  const { etag, lastModified } = await blob.commitBlockList(ids);
  return {
    status: 200,
    headers: { etag: etag ?? "", "last-modified": lastModified?.toUTCString() ?? "" },
  };
}

function blobOf(call: DfsCall) {
  return call.asked.account.container(call.filesystem).getBlockBlobClient(call.path);
}

function positionOf(call: DfsCall): number {
  const text = call.query.get("position") ?? "";
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new StorageRefusal(400, "InvalidQueryParameterValue", {
    message:
      "Value for one of the query parameters specified in the request URI is invalid: position.",
  });
}

function idAt(position: number): string {
  return Buffer.from(`dfs-${String(position).padStart(ID_DIGITS - 4, "0")}`).toString("base64");
}

function positionIn(id: string): number {
  return Number(/^dfs-(\d+)$/.exec(Buffer.from(id, "base64").toString("latin1"))?.[1] ?? -1);
}
