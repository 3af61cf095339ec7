import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createDefaultHttpClient } from "@azure/core-rest-pipeline";
import type { HttpClient, PipelineRequest, PipelineResponse } from "@azure/core-rest-pipeline";
import type { AzureAccess } from "../../../src/store/azure/access.ts";
import type { RetryPolicy } from "../../../src/store/azure/retry.ts";
import { createStorageAccess } from "../../../src/twin/adls/access.ts";
import { openStorageAccounts } from "../../../src/twin/adls/accounts.ts";
import { createBlobService } from "../../../src/twin/adls/blob-service.ts";
import { createDfsService } from "../../../src/twin/adls/dfs-service.ts";
import { openPathTable } from "../../../src/twin/adls/path-table.ts";
import type { PathRow } from "../../../src/twin/adls/path-table.ts";
import type { TwinAuthority } from "../../../src/twin/service.ts";

/** Object ids of who asks in the tests. */
export const OWNER = "aaaaaaaa-0000-4000-8000-000000000001";
export const READER = "aaaaaaaa-0000-4000-8000-000000000002";
export const JOB = "aaaaaaaa-0000-4000-8000-000000000003";

export const ACCOUNT = "ppmllake";
export const LAKE = `abfss://data@${ACCOUNT}.dfs.core.windows.net`;
export const ACCOUNT_KEY = new Uint8Array(64).fill(7);

/** Every request that reached the double, as the client sent it. */
export type SeenRequest = { readonly method: string; readonly url: string; readonly body: Buffer };

/** What stands between a client and the double: a fault, or null to let the request pass. */
export type Fault = (
  request: PipelineRequest,
  send: () => Promise<PipelineResponse>,
) => Promise<PipelineResponse> | null;

/** Faster than the product's own, and as many. */
export const QUICK: RetryPolicy = { tries: 6, firstDelayMs: 5, maxDelayMs: 20 };

/** A data lake of the double, without the twin's front: what its services answer to real clients. */
export type Lake = {
  /** The double itself as an HTTP client: no proxy, no TLS. */
  readonly httpClient: HttpClient;
  readonly seen: SeenRequest[];
  /** Set by a test: what happens to requests on their way. */
  fault: Fault | null;
  readonly accessOf: (objectId: string) => AzureAccess;
  readonly roles: Map<string, string>;
  readonly close: () => Promise<void>;
};

/** Starts the double's storage services, with Azurite behind them. */
export async function startLake(
  options: { readonly hierarchical?: boolean; readonly sharedKey?: boolean } = {},
): Promise<Lake> {
  const roles = new Map([[OWNER, "owner"]]);
  const authority = testAuthority(roles, options);
  const rows = new Map<string, PathRow>();
  const paths = openPathTable({
    get: (id) => rows.get(id) ?? null,
    put: (id, row) => void rows.set(id, row),
    remove: (id) => void rows.delete(id),
    list: (prefix) =>
      [...rows]
        .filter(([id]) => id.startsWith(prefix))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([id, row]) => ({ id, row })),
  });
  const accounts = openStorageAccounts({ authority, folder: null });
  const access = createStorageAccess({ authority, paths, keysOf: () => [ACCOUNT_KEY] });
  const services = { accounts, access, paths, log: console.error };
  const all = [createBlobService(services), createDfsService(services)];
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    all.find((one) => one.serves(request.headers.host ?? ""))?.handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const plain = createDefaultHttpClient();
  const lake: Lake = {
    seen,
    roles,
    fault: null,
    httpClient: {
      sendRequest: (request) => {
        const { method, url, body } = request;
        const bytes = body instanceof Uint8Array || typeof body === "string" ? body : "";
        seen.push({ method, url: url.slice("https://".length), body: Buffer.from(bytes) });
        const send = () => plain.sendRequest(redirect(request, port));
        return lake.fault?.(request, send) ?? send();
      },
    },
    accessOf: (objectId) => ({
      credential: {
        getToken: async () => ({ token: objectId, expiresOnTimestamp: Date.now() + 3_600_000 }),
      },
      clientOptions: { httpClient: lake.httpClient },
      retries: QUICK,
    }),
    close: async () => {
      server.closeAllConnections();
      server.close();
      for (const one of all) await one.close?.();
      await accounts[Symbol.asyncDispose]();
    },
  };
  return lake;
}

function redirect(request: PipelineRequest, port: number): PipelineRequest {
  const url = new URL(request.url);
  request.headers.set("host", url.host);
  request.allowInsecureConnection = true;
  request.url = `http://127.0.0.1:${port}${request.url.slice(url.origin.length)}`;
  return request;
}

const ROLES: Readonly<Record<string, RegExp>> = {
  owner: /./,
  contributor: /\/containers\/|blobs\/(?:read|write|delete|move\/action)$/,
  reader: /containers\/read$|blobs\/read$/,
};

/** Bearer tokens that are object ids; one account. */
function testAuthority(
  roles: ReadonlyMap<string, string>,
  options: { readonly hierarchical?: boolean; readonly sharedKey?: boolean },
): TwinAuthority {
  const id = `/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/${ACCOUNT}`;
  const properties = {
    isHnsEnabled: options.hierarchical ?? true,
    allowSharedKeyAccess: options.sharedKey ?? false,
  };
  return {
    principalOf: async ({ authorization }) => {
      const objectId = /^Bearer ([0-9a-f-]{36})$/.exec(authorization ?? "")?.[1];
      return objectId === undefined ? null : { objectId, tenantId: "t", applicationId: null };
    },
    allows: ({ objectId }, { action }) => ROLES[roles.get(objectId) ?? ""]?.test(action) ?? false,
    resource: (_, name) => (name === ACCOUNT ? { id, body: { id, properties } } : null),
  };
}
