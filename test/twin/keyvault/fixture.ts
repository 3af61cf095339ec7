import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHttpHeaders } from "@azure/core-rest-pipeline";
import type { HttpClient } from "@azure/core-rest-pipeline";
import type { AzureConnection } from "../../../src/azure/index.ts";
import { createTwinAuthority } from "../../../src/twin/authority.ts";
import { issueAccessToken } from "../../../src/twin/entra/tokens.ts";
import { addPrincipal, assignRole, newPrincipal, openTwin } from "../../../src/twin/first-start.ts";
import { HSM_DOMAINS } from "../../../src/twin/keyvault/hsm-domain.ts";
import { createKeyVaultDouble } from "../../../src/twin/keyvault/keyvault-double.ts";
import type { KeyVaultDoubleOptions } from "../../../src/twin/keyvault/keyvault-double.ts";
import { openReleaseSigner } from "../../../src/twin/keyvault/release-signer.ts";
import type { TwinBase } from "../../../src/twin/service.ts";
import { openSigningKey } from "../../../src/twin/signing-key.ts";
import { RESOURCES } from "../../../src/twin/state-kinds.ts";
import type { PrincipalDocument } from "../../../src/twin/state-kinds.ts";
import { TwinState } from "../../../src/twin/state.ts";

/** What a test may say of a vault that ARM is to have. */
export type VaultSettings = {
  readonly kind?: "vault" | "hsm";
  readonly sku?: "premium" | "standard";
  readonly purgeProtection?: boolean;
  readonly retentionDays?: number;
  readonly rbac?: boolean;
  readonly administrators?: readonly string[];
  /** Of a Managed HSM: whether its security domain was downloaded; true where not given. */
  readonly activated?: boolean;
};

/** The double of Key Vault without a network: state, authority and routes in this process. */
export type KeyVaultTwin = {
  readonly base: TwinBase;
  readonly log: string[];
  /** DER of the root that answers of a release lead to. */
  readonly releaseRoot: Uint8Array;
  /** Milliseconds since 1970; a test may move it. */
  readonly time: { nowMs: number };
  /** Requests that reached the double: METHOD URL. */
  readonly requests: string[];
  /** Makes a vault; gives its URL. */
  readonly vault: (name: string, settings?: VaultSettings) => string;
  /** Makes a principal with these roles at a vault or at a scope below it. */
  readonly principal: (
    roles: readonly { readonly role: string; readonly vault: string; readonly below?: string }[],
  ) => PrincipalDocument;
  /** A connection of that principal's: its tokens, and the double as its network. */
  readonly connect: (
    principal: PrincipalDocument,
    options?: { readonly maxRetries?: number; readonly expired?: boolean },
  ) => AzureConnection;
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly dispose: () => void;
};

/** Makes a double for a test's own use. */
export async function keyVaultTwin(
  options: Pick<KeyVaultDoubleOptions, "limits" | "sha1"> & { readonly nowMs?: number } = {},
): Promise<KeyVaultTwin> {
  const folder = mkdtempSync(join(tmpdir(), "ppml-keyvault-"));
  const time = { nowMs: options.nowMs ?? Date.now() };
  const clock = (): number => time.nowMs;
  const state = TwinState.open(join(folder, "state.db"));
  const key = await openSigningKey(state, "entra");
  const twin = await openTwin(state, { nowMs: clock() });
  const authority = createTwinAuthority({ state, key, clock });
  const log: string[] = [];
  const base: TwinBase = {
    state,
    authority,
    folder,
    clock,
    random,
    notify: async () => ({}),
    log: (line) => log.push(line),
  };
  const signer = openReleaseSigner(base);
  const { limits, sha1 = false } = options;
  const app = createKeyVaultDouble({
    base,
    signRelease: signer.sign,
    sha1,
    ...(limits === undefined ? {} : { limits }),
  });
  const scopeOf = (name: string): string =>
    state.list(RESOURCES).find(({ document }) => document.name === name)?.document.id ?? "";
  const requests: string[] = [];
  const httpClient = clientOf(app, requests);
  return {
    base,
    log,
    releaseRoot: signer.root,
    time,
    requests,
    vault: (name, settings = {}) => makeVault({ state, twin }, name, settings),
    principal: (roles) => {
      const { tenantId, ownerObjectId: createdBy } = twin;
      const principal = addPrincipal(state, newPrincipal({ tenantId, displayName: "test" }));
      for (const { role, vault, below = "" } of roles)
        assignRole(state, {
          principalId: principal.objectId,
          role,
          scope: `${scopeOf(vault)}${below}`,
          createdBy,
          nowMs: clock(),
        });
      return principal;
    },
    connect: (principal, { maxRetries = 0, expired = false } = {}) => ({
      credential: {
        getToken: async (scopes) => {
          const resource = String([scopes].flat()[0]).replace("/.default", "");
          const expiresMs = clock() + (expired ? -1000 : 3_600_000);
          const id = "id";
          const asked = { principal, resource, key, nowMs: clock() - 10_000, expiresMs, id };
          const token = await issueAccessToken(asked);
          // Over at once for the SDK's cache: a test moves the double's clock.
          return { token, expiresOnTimestamp: Date.now() };
        },
      },
      clientOptions: { httpClient, retryOptions: { maxRetries, maxRetryDelayInMs: 2000 } },
    }),
    fetch: (request) => app.fetch(request),
    dispose: () => {
      state[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function random(length: number): Uint8Array {
  return new Uint8Array(randomBytes(length));
}

function makeVault(
  {
    state,
    twin,
  }: { readonly state: TwinState; readonly twin: Awaited<ReturnType<typeof openTwin>> },
  name: string,
  settings: VaultSettings,
): string {
  const { kind = "vault", sku = "premium", purgeProtection = true, retentionDays = 90 } = settings;
  const type = kind === "hsm" ? "Microsoft.KeyVault/managedHSMs" : "Microsoft.KeyVault/vaults";
  const id = `/subscriptions/${twin.subscriptionId}/resourceGroups/rg/providers/${type}/${name}`;
  state.put(RESOURCES, id.toLowerCase(), {
    id,
    name,
    type,
    location: "eastus2",
    properties: {
      tenantId: twin.tenantId,
      sku: { family: "A", name: sku },
      softDeleteRetentionInDays: retentionDays,
      ...(purgeProtection ? { enablePurgeProtection: true } : {}),
      enableRbacAuthorization: settings.rbac ?? true,
      initialAdminObjectIds: [...(settings.administrators ?? [])],
    },
  });
  if (kind === "hsm" && settings.activated !== false)
    state.put(HSM_DOMAINS, `${name}.managedhsm.azure.net`, {
      activated: 0,
      certificates: [],
      required: 2,
      allowsArm: true,
    });
  return `https://${name}.${kind === "hsm" ? "managedhsm" : "vault"}.azure.net`;
}

/** The SDKs' network, with the double at its end. */
function clientOf(
  app: { readonly fetch: (request: Request) => Response | Promise<Response> },
  requests: string[],
): HttpClient {
  return {
    sendRequest: async (request) => {
      requests.push(`${request.method} ${request.url}`);
      const url = new URL(request.url);
      const headers = new Headers(request.headers.toJSON());
      headers.set("host", url.host);
      const { body } = request;
      const response = await app.fetch(
        new Request(url, {
          method: request.method,
          headers,
          ...(typeof body === "string" && request.method !== "GET" ? { body } : {}),
        }),
      );
      return {
        request,
        status: response.status,
        headers: createHttpHeaders(Object.fromEntries(response.headers)),
        bodyAsText: await response.text(),
      };
    },
  };
}
