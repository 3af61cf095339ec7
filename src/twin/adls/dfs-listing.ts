import { permissionsOf } from "./acl.ts";
import type { DfsAnswer, DfsCall } from "./dfs-call.ts";
import type { PathEntry } from "./path-table.ts";
import { StorageRefusal } from "./storage-error.ts";

const MAX_RESULTS = 5000;

/** @see Filesystem - Create */
export async function createFilesystem(call: DfsCall): Promise<DfsAnswer> {
  const { services, asked } = call;
  services.access.requireContainer(asked, "write");
  const { etag, lastModified } = await asked.account.container(call.filesystem).create();
  return {
    status: 201,
    headers: {
      etag: etag ?? "",
      "last-modified": lastModified?.toUTCString() ?? "",
      "x-ms-namespace-enabled": String(asked.account.isHierarchical),
    },
  };
}

/** @see Filesystem - Delete */
export async function deleteFilesystem(call: DfsCall): Promise<DfsAnswer> {
  const { services, asked } = call;
  services.access.requireContainer(asked, "delete");
  await asked.account.container(call.filesystem).delete();
  services.paths.drop({ account: asked.account.name, filesystem: call.filesystem });
  return { status: 202 };
}

/** @see Filesystem - Get Properties */
export async function filesystemStatus(call: DfsCall): Promise<DfsAnswer> {
  const { services, asked } = call;
  services.access.requireContainer(asked, "read");
  const found = await asked.account.container(call.filesystem).getProperties();
  return {
    status: 200,
    headers: {
      etag: found.etag ?? "",
      "last-modified": found.lastModified?.toUTCString() ?? "",
      "x-ms-namespace-enabled": String(asked.account.isHierarchical),
    },
  };
}

/** Lists paths in the order of their names, page by page. @see Path - List */
export async function listPaths(call: DfsCall): Promise<DfsAnswer> {
  const { services, asked, query } = call;
  const directory = (query.get("directory") ?? "").replace(/^\/+|\/+$/g, "");
  const isRecursive = query.get("recursive") === "true";
  const place = { account: asked.account.name, filesystem: call.filesystem };
  services.access.requirePath(asked, {
    action: "read",
    acl: [{ path: directory, permissions: ["r", "x"] }],
  });
  const container = asked.account.container(call.filesystem);
  if (!(await container.exists())) throw new StorageRefusal(404, "FilesystemNotFound");
  if (directory !== "" && services.paths.get(place, directory) === null)
    throw new StorageRefusal(404, "PathNotFound");
  const limit = Math.min(Number(query.get("maxResults") ?? MAX_RESULTS), MAX_RESULTS);
  const after = readContinuation(query.get("continuation"));
  const all = services.paths
    .below(place, directory, isRecursive)
    .filter(({ path }) => after === null || path > after);
  const page = all.slice(0, limit);
  const last = page.at(-1);
  const paths = await Promise.all(page.map((entry) => describe(call, entry)));
  return {
    status: 200,
    json: { paths },
    headers:
      all.length > page.length && last !== undefined
        ? { "x-ms-continuation": Buffer.from(last.path).toString("base64") }
        : {},
  };
}

async function describe(call: DfsCall, entry: PathEntry): Promise<Record<string, string>> {
  const blob = call.asked.account.container(call.filesystem).getBlobClient(entry.path);
  const found = await blob.getProperties();
  return {
    name: entry.path,
    ...(entry.isDirectory ? { isDirectory: "true" } : {}),
    contentLength: String(found.contentLength ?? 0),
    etag: (found.etag ?? "").replaceAll('"', ""),
    lastModified: found.lastModified?.toUTCString() ?? "",
    owner: entry.owner,
    group: entry.group,
    permissions: permissionsOf(entry.acl),
  };
}

function readContinuation(token: string | null): string | null {
  return token === null || token === "" ? null : Buffer.from(token, "base64").toString("utf8");
}
