import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { openSigningKey } from "../../../src/twin/signing-key.ts";
import { issueAccessToken } from "../../../src/twin/entra/tokens.ts";
import { addPrincipal, assignRole, newPrincipal } from "../../../src/twin/first-start.ts";
import { PRINCIPALS, TWIN } from "../../../src/twin/state-kinds.ts";
import type { PrincipalDocument } from "../../../src/twin/state-kinds.ts";
import type { Twin } from "../../../src/twin/start.ts";

export type Json = Readonly<Record<string, unknown>>;

/** An answer of ARM. */
export type Answer = {
  readonly status: number;
  readonly body: Json & {
    readonly error?: ArmErrorBody;
    readonly status?: string;
    readonly properties?: Json;
  };
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
};
export type ArmErrorBody = {
  readonly code: string;
  readonly message: string;
  readonly details?: readonly ArmErrorBody[];
};

/** Calls ARM over the front's TLS port, as a principal. */
export type ArmClient = {
  readonly call: (method: string, path: string, body?: unknown) => Promise<Answer>;
  /** Calls, and polls Azure-AsyncOperation or Location until the operation is over. */
  readonly finish: (method: string, path: string, body?: unknown) => Promise<Answer>;
};

/** Calls a host of the double over the front's TLS port, as the twin's owner or another principal. */
export async function caller(
  twin: Twin,
  { host, resource }: { readonly host: string; readonly resource: string },
  principal?: PrincipalDocument,
): Promise<ArmClient["call"]> {
  const { state } = twin.base;
  const owner = state.get(PRINCIPALS, state.get(TWIN, "twin")?.ownerObjectId ?? "");
  const who = principal ?? owner;
  if (who === null) throw new Error("no owner");
  const token = await issueAccessToken({
    principal: who,
    resource,
    key: await openSigningKey(state, "entra"),
    nowMs: Date.now(),
    expiresMs: Date.now() + 3_600_000,
    id: "t",
  });
  const ca = readFileSync(join(twin.base.folder, "tls/ca.pem"));
  return async (method, path, body) => {
    const hasVersion = path.includes("api-version=");
    const version = `${path.includes("?") ? "&" : "?"}api-version=${versionOf(path)}`;
    const sent = request({
      host: "127.0.0.1",
      port: twin.running.tlsPort,
      servername: host,
      path: hasVersion ? path : `${path}${version}`,
      method,
      ca,
      headers: {
        host,
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
      },
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      sent.once("response", resolve);
      sent.once("error", reject);
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    const response = await answered;
    const said = await text(response);
    return {
      status: response.statusCode ?? 0,
      body: (said === "" ? {} : JSON.parse(said)) as Answer["body"],
      headers: response.headers,
    };
  };
}

/** The client of the twin's owner, or of another principal. */
export async function armClient(twin: Twin, principal?: PrincipalDocument): Promise<ArmClient> {
  const arm = { host: "management.azure.com", resource: "https://management.azure.com" };
  const call = await caller(twin, arm, principal);
  const finish = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const first = await call(method, path, body);
    const async = first.headers["azure-asyncoperation"];
    const location = first.headers["location"];
    const url = String(async ?? location ?? "");
    if (first.status >= 400 || url === "") return first;
    const poll = url.replace("https://management.azure.com", "");
    for (;;) {
      const answer = await call("GET", poll);
      const { status = "" } = answer.body;
      const isOver =
        async === undefined
          ? answer.status !== 202
          : ["Succeeded", "Failed", "Canceled"].includes(status);
      if (isOver) return method === "PUT" ? call("GET", path) : answer;
      await sleep(10);
    }
  };
  return { call, finish };
}

/** A new service principal with a role at a scope. */
export function principalWith(
  twin: Twin,
  ...roles: readonly (readonly [role: string, scope: string])[]
): PrincipalDocument {
  const { state } = twin.base;
  const made = addPrincipal(state, newPrincipal({ tenantId: twin.tenantId, displayName: "test" }));
  for (const [role, scope] of roles)
    assignRole(state, {
      principalId: made.objectId,
      role,
      scope,
      createdBy: made.objectId,
      nowMs: Date.now(),
    });
  return made;
}

/** A template of resources. */
export function template(...resources: readonly Json[]): Json {
  return {
    $schema: "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    contentVersion: "1.0.0.0",
    resources,
  };
}

/** The body of a deployment of a template. */
export function deployment(of: Json, more: Json = {}): Json {
  return { properties: { mode: "Incremental", template: of, ...more } };
}

const VERSIONS: readonly (readonly [RegExp, string])[] = [
  [/Microsoft\.Resources\/deploymentStacks/i, "2024-03-01"],
  [/Microsoft\.Resources\/deployments/i, "2025-04-01"],
  [/roleAssignments/i, "2022-04-01"],
  [/Microsoft\.KeyVault/i, "2026-02-01"],
  [/Microsoft\.Storage/i, "2026-04-01"],
  [/Microsoft\.ManagedIdentity/i, "2024-11-30"],
  [/Microsoft\.Network/i, "2025-07-01"],
  [/Microsoft\.ContainerService/i, "2026-05-01"],
  [/Microsoft\.Compute\/skus/i, "2021-07-01"],
  [/Microsoft\.Compute/i, "2026-03-01"],
  [/Microsoft\.ContainerRegistry/i, "2025-04-01"],
];

function versionOf(path: string): string {
  return VERSIONS.find(([pattern]) => pattern.test(path))?.[1] ?? "2024-11-01";
}
