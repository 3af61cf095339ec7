import { Agent, request as httpRequest } from "node:http";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { TwinService } from "../service.ts";
import type { Asked, PathNeed, StorageAccess } from "./access.ts";
import type { StorageAccount, StorageAccounts } from "./accounts.ts";
import { openNamespace, ownerOf } from "./namespace.ts";
import type { PathTable } from "./path-table.ts";
import { headerOf, parentOf, readCall, splitPath } from "./request.ts";
import type { StorageCall } from "./request.ts";
import { sharedKeyAuthorization } from "./shared-key.ts";
import { sendRefusal, StorageRefusal } from "./storage-error.ts";

/** What both storage endpoints of the double run on. */
export type AdlsServices = {
  readonly accounts: StorageAccounts;
  readonly access: StorageAccess;
  readonly paths: PathTable;
  /** Told of the double's own failures. */
  readonly log: (line: string) => void;
};

/** Hop by hop, or only for the double. */
const NOT_FORWARDED = [
  "authorization",
  "connection",
  "keep-alive",
  "x-ms-copy-source-authorization",
];

/**
 * The blob endpoint of the double: it decides who may do what, keeps the namespace of accounts that
 * have one, and lets Azurite do the rest.
 */
export function createBlobService(services: AdlsServices): TwinService {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  return {
    name: "blob",
    serves: (host) => /^[a-z0-9]{3,24}\.blob\.core\.windows\.net$/.test(host),
    handle: (request, response) => {
      serve(services, { request, response, agent }).catch((error: unknown) => {
        request.resume();
        if (!(error instanceof StorageRefusal)) services.log(`blob: ${String(error)}`);
        const refusal =
          error instanceof StorageRefusal ? error : new StorageRefusal(500, "InternalError");
        if (response.headersSent) response.destroy();
        else sendRefusal(response, refusal, "blob");
      });
    },
    close: async () => agent.destroy(),
  };
}

type Exchange = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly agent: Agent;
};

async function serve(services: AdlsServices, exchange: Exchange): Promise<void> {
  const call = readCall(exchange.request);
  const account = await services.accounts.open(call.account);
  const caller = await services.access.callerOf(call, account);
  const asked = { account, filesystem: call.filesystem, caller };
  if (call.path === "") {
    requireFilesystemCall(services, asked, call);
    await forward(call, { account, ...exchange });
    if (call.method === "DELETE" && exchange.response.statusCode === 202)
      services.paths.drop({ account: account.name, filesystem: call.filesystem });
    return;
  }
  await serveBlob(services, { call, asked, exchange });
}

function requireFilesystemCall(services: AdlsServices, asked: Asked, call: StorageCall): void {
  const { access } = services;
  const isListing = call.query.get("comp") === "list" && call.filesystem !== "";
  if (isListing) {
    const folder = parentOf(call.query.get("prefix") ?? "");
    access.requirePath(asked, {
      action: "read",
      acl: [{ path: folder, permissions: ["r", "x"] }],
    });
  } else if (call.method === "GET" || call.method === "HEAD")
    access.requireContainer(asked, "read");
  else if (call.method === "PUT") access.requireContainer(asked, "write");
  else if (call.method === "DELETE") access.requireContainer(asked, "delete");
  else throw new StorageRefusal(405, "UnsupportedHttpVerb");
}

async function serveBlob(
  services: AdlsServices,
  { call, asked, exchange }: { call: StorageCall; asked: Asked; exchange: Exchange },
): Promise<void> {
  const { access, paths } = services;
  const { account, caller } = asked;
  const place = { account: account.name, filesystem: call.filesystem };
  const { path, method } = call;
  const namespace = openNamespace(paths, { account, filesystem: call.filesystem });
  const known = account.isHierarchical ? paths.get(place, path) : null;
  access.requirePath(asked, blobNeed(call, known === null ? namespace.nearest(path) : null));
  if (!account.isHierarchical) return forwardOrCopy(services, { call, asked, exchange });
  if (method === "PUT") namespace.requireFilePlace(path);
  if (
    method === "DELETE" &&
    known?.isDirectory === true &&
    paths.below(place, path, false).length > 0
  )
    throw new StorageRefusal(409, "DirectoryNotEmpty");
  if (method === "PUT") await namespace.makeParents(path, caller);
  await forwardOrCopy(services, { call, asked, exchange });
  const { statusCode } = exchange.response;
  if (method === "DELETE" && statusCode === 202) paths.remove(place, path);
  const makesBlob = method === "PUT" && call.query.get("comp") !== "block";
  if (makesBlob && (statusCode === 201 || statusCode === 202))
    paths.make(place, { path, isDirectory: false, owner: ownerOf(caller) });
}

/** @param nearest the nearest directory that exists, where the blob does not; otherwise null */
function blobNeed({ method, path }: StorageCall, nearest: string | null): PathNeed {
  if (method === "GET" || method === "HEAD")
    return {
      action: "read",
      acl: [{ path: nearest ?? path, permissions: nearest === null ? ["r"] : ["x"] }],
    };
  if (method === "DELETE")
    return {
      action: "delete",
      acl: [{ path: nearest ?? parentOf(path), permissions: ["w", "x"] }],
    };
  if (method === "PUT")
    return nearest === null
      ? { action: "write", acl: [{ path, permissions: ["w"] }] }
      : { action: "write", acl: [{ path: nearest, permissions: ["w", "x"] }] };
  throw new StorageRefusal(405, "UnsupportedHttpVerb");
}

/** Azurite reads a copy's source without the token that it came with: the double checks it. */
async function forwardOrCopy(
  services: AdlsServices,
  { call, asked, exchange }: { call: StorageCall; asked: Asked; exchange: Exchange },
): Promise<void> {
  const { account } = asked;
  const source = headerOf(call, "x-ms-copy-source");
  if (source === undefined || call.query.get("comp") !== "block")
    return forward(call, { account, ...exchange });
  const authorization = headerOf(call, "x-ms-copy-source-authorization");
  if (authorization === undefined)
    throw new StorageRefusal(401, "CannotVerifyCopySource", {
      message: "The copy source is not public, and no authorization came for it.",
    });
  const url = new URL(source);
  if (url.host.split(".", 1)[0] !== account.name)
    throw new StorageRefusal(501, "CopyAcrossAccountsNotSupported");
  const [filesystem, path] = splitPath(url.pathname);
  const reader = await services.access.callerOf(call, account, authorization);
  services.access.requirePath(
    { account, filesystem, caller: reader },
    { action: "read", acl: [{ path, permissions: ["r"] }] },
  );
  await copyRange(call, { account, filesystem, path, response: exchange.response });
}

async function copyRange(
  call: StorageCall,
  from: {
    readonly account: StorageAccount;
    readonly filesystem: string;
    readonly path: string;
    readonly response: ServerResponse;
  },
): Promise<void> {
  const { account, response } = from;
  const range = /^bytes=(\d+)-(\d+)$/.exec(headerOf(call, "x-ms-source-range") ?? "");
  const [offset, end] = [Number(range?.[1] ?? 0), Number(range?.[2] ?? -1)];
  const source = account.container(from.filesystem).getBlockBlobClient(from.path);
  const bytes = await source.downloadToBuffer(offset, end < 0 ? undefined : end - offset + 1);
  const target = account.container(call.filesystem).getBlockBlobClient(call.path);
  await target.stageBlock(call.query.get("blockid") ?? "", bytes, bytes.byteLength);
  call.request.resume();
  response.writeHead(201, { "content-length": 0, "x-ms-request-server-encrypted": "true" });
  response.end();
}

/** Sends the call on to Azurite, under Azurite's own key, and its answer back. */
async function forward(
  call: StorageCall,
  to: Exchange & { readonly account: StorageAccount },
): Promise<void> {
  const { request, response, agent } = to;
  const { azurite } = to.account;
  const target = request.url ?? "/";
  const headers: OutgoingHttpHeaders = {
    ...request.headers,
    "x-ms-date": new Date().toUTCString(),
  };
  for (const name of NOT_FORWARDED) delete headers[name];
  // A length that is not sent is not signed; Node would send it chunked.
  headers["authorization"] = sharedKeyAuthorization(
    { method: call.method, target, headers },
    { name: azurite.account, key: azurite.key },
  );
  await new Promise<void>((resolve, reject) => {
    const { port } = azurite;
    const { method } = call;
    const sent = httpRequest({ host: "127.0.0.1", port, method, path: target, headers, agent });
    sent.on("error", reject);
    sent.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on("error", reject);
      response.on("close", resolve);
    });
    request.on("error", reject);
    request.on("close", () => {
      // A client that goes in mid-upload must not leave half a block behind.
      if (!request.complete) sent.destroy();
    });
    request.pipe(sent);
  });
}
