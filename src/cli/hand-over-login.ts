import { readFile } from "node:fs/promises";
import type { TokenCredential } from "@azure/core-auth";
import type { AzureTransport } from "../azure/index.ts";
import { PpmlError } from "../base/index.ts";
import type { LaunchRequest } from "../launch/index.ts";
import type { Project } from "./config/load.ts";
import type { CliContext } from "./context.ts";
import { transportOf } from "./data-lake.ts";
import type { ProjectStores } from "./data-lake.ts";

type HandedOver = NonNullable<LaunchRequest["dataLake"]>;

const STORAGE_SCOPE = "https://storage.azure.com/.default";

/**
 * A token for Azure Storage and the way to it, for a TEE, whose environment is empty. An account's key
 * is never handed over: it would be good for everything, for ever.
 * @throws azure.login, key.not_permitted
 */
export async function handOverLogin(
  context: CliContext,
  of: {
    readonly project: Project;
    readonly stores: ProjectStores;
    readonly accounts: readonly string[];
  },
): Promise<HandedOver> {
  const { project, stores, accounts } = of;
  const keyed = accounts.find((account) => project.config.dataLake?.sharedKeys?.[account]);
  if (keyed !== undefined)
    throw new PpmlError(
      "key.not_permitted",
      `a job is not given the key of storage account ${keyed}: give an identity a role there, and take the account out of dataLake.sharedKeys`,
    );
  const { credential } = await stores.accessOf(accounts[0] ?? "");
  return handOver(context, {
    credential,
    scope: STORAGE_SCOPE,
    service: "Azure Storage",
    transport: transportOf(project),
  });
}

/**
 * A token of a login for one service, and the way to it, for a TEE.
 * @throws azure.login and others of `toAzureFailure`
 */
export async function handOver(
  context: Pick<CliContext, "env">,
  of: {
    readonly credential: TokenCredential;
    readonly scope: string;
    /** For the message. */
    readonly service: string;
    readonly transport: AzureTransport;
  },
): Promise<HandedOver> {
  const { toAzureFailure } = await import("../azure/index.ts");
  const token = await of.credential.getToken(of.scope).catch((error: unknown) => {
    throw toAzureFailure(error, { what: `log in to ${of.service}` });
  });
  if (token === null)
    throw new PpmlError("azure.login", "there is no login at Azure: run `az login`");
  return {
    token: token.token,
    expiresMs: token.expiresOnTimestamp,
    network: of.transport === "environment" ? await networkOf(context.env) : null,
  };
}

/** What HTTPS_PROXY and NODE_EXTRA_CA_CERTS say. */
async function networkOf(env: CliContext["env"]): Promise<NonNullable<HandedOver["network"]>> {
  const proxy = env["HTTPS_PROXY"] ?? env["https_proxy"];
  const path = env["NODE_EXTRA_CA_CERTS"];
  const certificates = path === undefined ? [] : [await readFile(path, "utf8")];
  if (proxy === undefined || !URL.canParse(proxy)) return { proxy: null, certificates };
  const { protocol, hostname, port } = new URL(proxy);
  const standard = protocol === "https:" ? 443 : 80;
  return {
    proxy: { host: `${protocol}//${hostname}`, port: port === "" ? standard : Number(port) },
    certificates,
  };
}
