import type { ServerResponse } from "node:http";
import type { TwinService } from "../service.ts";
import type { AdlsServices } from "./blob-service.ts";
import type { DfsAnswer, DfsCall } from "./dfs-call.ts";
import { getAccessControl, setAccessControl, setAccessControlRecursive } from "./dfs-acl.ts";
import { appendToFile, flushFile, readFile } from "./dfs-files.ts";
import { createFilesystem, deleteFilesystem, filesystemStatus, listPaths } from "./dfs-listing.ts";
import { createPath, deletePath, pathStatus, renamePath } from "./dfs-paths.ts";
import { openNamespace } from "./namespace.ts";
import { headerOf, readCall } from "./request.ts";
import { sendRefusal, StorageRefusal } from "./storage-error.ts";

/**
 * The Data Lake endpoint of the double, which Azurite does not have: paths, ACLs and renames over the
 * same blobs. It is ours, not Microsoft's: an answer here says nothing of a rule that it does not have.
 * @see azure-rest-api-specs, storage-DataLake, DataLakeStorage.json
 */
export function createDfsService(services: AdlsServices): TwinService {
  return {
    name: "dfs",
    serves: (host) => /^[a-z0-9]{3,24}\.dfs\.core\.windows\.net$/.test(host),
    handle: (request, response) => {
      const serve = async (): Promise<void> => {
        const call = readCall(request);
        const account = await services.accounts.open(call.account);
        const caller = await services.access.callerOf(call, account);
        const { filesystem } = call;
        const namespace = openNamespace(services.paths, { account, filesystem });
        const asked = { account, filesystem, caller };
        send(response, await route({ ...call, services, asked, namespace }));
      };
      serve().catch((error: unknown) => {
        request.resume();
        const refusal = toRefusal(error);
        if (refusal.status === 500) services.log(`dfs: ${String(error)}`);
        sendRefusal(response, refusal, "dfs");
      });
    },
  };
}

async function route(call: DfsCall): Promise<DfsAnswer> {
  if (call.filesystem === "") throw notSupported(call);
  if (call.path === "" && call.query.get("resource") === "filesystem") {
    if (call.method === "PUT") return createFilesystem(call);
    if (call.method === "DELETE") return deleteFilesystem(call);
    if (call.method === "HEAD") return filesystemStatus(call);
    if (call.method === "GET") return listPaths(call);
    throw notSupported(call);
  }
  if (!call.asked.account.isHierarchical)
    throw new StorageRefusal(400, "HierarchicalNamespaceNotEnabled", {
      message: "The hierarchical namespace is not enabled for this account.",
    });
  // Java's HTTP client knows no PATCH.
  switch (headerOf(call, "x-http-method-override") ?? call.method) {
    case "PUT":
      return headerOf(call, "x-ms-rename-source") === undefined
        ? createPath(call)
        : renamePath(call);
    case "PATCH":
    case "POST":
      return updatePath(call);
    case "HEAD":
      return call.query.get("action") === "getAccessControl"
        ? getAccessControl(call)
        : pathStatus(call);
    case "GET":
      return readFile(call);
    case "DELETE":
      return deletePath(call);
    default:
      throw notSupported(call);
  }
}

async function updatePath(call: DfsCall): Promise<DfsAnswer> {
  switch (call.query.get("action") ?? "") {
    case "append":
      return appendToFile(call);
    case "flush":
      return flushFile(call);
    case "setAccessControl":
      return setAccessControl(call);
    case "setAccessControlRecursive":
      return setAccessControlRecursive(call);
    default:
      throw notSupported(call);
  }
}

function notSupported(call: DfsCall): StorageRefusal {
  const action = call.query.get("action") ?? call.query.get("resource") ?? "";
  return new StorageRefusal(501, "FeatureNotYetSupported", {
    message: `The double of the Data Lake endpoint does not know ${call.method} ${action}.`,
  });
}

/** What Azurite refuses, under the Data Lake endpoint's names. */
function toRefusal(error: unknown): StorageRefusal {
  if (error instanceof StorageRefusal) return error;
  if (error instanceof Error && "statusCode" in error && typeof error.statusCode === "number") {
    const code = "code" in error ? String(error.code) : "";
    if (code === "BlobNotFound") return new StorageRefusal(404, "PathNotFound");
    if (code === "ContainerNotFound") return new StorageRefusal(404, "FilesystemNotFound");
    if (code === "ContainerAlreadyExists")
      return new StorageRefusal(409, "FilesystemAlreadyExists", {
        message: "The specified filesystem already exists.",
      });
    if (code === "BlobAlreadyExists") return new StorageRefusal(409, "PathAlreadyExists");
    return new StorageRefusal(error.statusCode, code === "" ? "InvalidInput" : code);
  }
  return new StorageRefusal(500, "InternalError");
}

function send(response: ServerResponse, answer: DfsAnswer): void {
  const body =
    answer.bytes ??
    (answer.json === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(answer.json)));
  const isHead = response.req.method === "HEAD";
  response.writeHead(answer.status, {
    "x-ms-version": headerValue(response),
    ...(answer.json === undefined ? {} : { "content-type": "application/json;charset=utf-8" }),
    ...(isHead ? {} : { "content-length": String(body.byteLength) }),
    ...answer.headers,
  });
  response.end(isHead ? undefined : body);
}

function headerValue(response: ServerResponse): string {
  const version = response.req.headers["x-ms-version"];
  return typeof version === "string" ? version : "2023-11-03";
}
