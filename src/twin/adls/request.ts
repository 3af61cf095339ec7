import type { IncomingMessage } from "node:http";
import { StorageRefusal } from "./storage-error.ts";

/** A call to one of the storage endpoints, read as far as its address goes. */
export type StorageCall = {
  readonly method: string;
  readonly account: string;
  /** "" for the account itself. */
  readonly filesystem: string;
  /** "" for the filesystem itself; without a slash at its end. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
};

/** Reads the address of a call. @throws StorageRefusal for one that is not valid */
export function readCall(request: IncomingMessage): StorageCall {
  const target = request.url ?? "/";
  const host = (request.headers.host ?? "").toLowerCase();
  const account = host.split(".", 1)[0] ?? "";
  const [filesystem, path] = splitPath(target.split("?", 1)[0] ?? "/");
  const query = new URL(target, "http://service").searchParams;
  return { method: request.method ?? "GET", account, filesystem, path, query, request };
}

/** Splits `/filesystem/path`, percent-encoded. @throws StorageRefusal */
export function splitPath(encoded: string): readonly [filesystem: string, path: string] {
  let text: string;
  try {
    text = decodeURIComponent(encoded);
  } catch {
    throw new StorageRefusal(400, "InvalidUri", { message: "The request URI is invalid." });
  }
  const [, filesystem = "", ...parts] = text.split("/");
  const path = parts.join("/").replace(/\/+$/, "");
  if (path.split("/").some((part) => part === "." || part === ".."))
    throw new StorageRefusal(400, "InvalidResourceName", { message: "The path is invalid." });
  return [filesystem, path];
}

/** A header of a call, or undefined. */
export function headerOf(call: StorageCall, name: string): string | undefined {
  const value = call.request.headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}

/** The path of the directory that a path is in; "" for the root. */
export function parentOf(path: string): string {
  return path.split("/").slice(0, -1).join("/");
}

/** The body of a call. @throws StorageRefusal over `maxBytes` */
export async function bodyOf(call: StorageCall, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of call.request) {
    if (!Buffer.isBuffer(chunk)) continue;
    size += chunk.byteLength;
    if (size > maxBytes)
      throw new StorageRefusal(413, "RequestBodyTooLarge", { message: "The body is too large." });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
