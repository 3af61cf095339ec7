import { join } from "node:path";
import { MANAGED_IDENTITY_PATH } from "./entra/managed-identity.ts";

/** What a program's environment needs to reach the double instead of Azure. */
export type TwinEnvironment = Readonly<Record<string, string>>;

/** Variables that would lead a program past the double, to the person's own login or to Azure. */
const REMOVED: ReadonlySet<string> = new Set([
  "ALL_PROXY",
  "AZURE_FEDERATED_TOKEN_FILE",
  "all_proxy",
  "AZURE_CLIENT_CERTIFICATE_PATH",
  "AZURE_CLIENT_SECRET",
  "AZURE_PASSWORD",
  "AZURE_USERNAME",
  "HTTP_PROXY",
  "http_proxy",
  "IDENTITY_ENDPOINT",
  "IDENTITY_HEADER",
  "IMDS_ENDPOINT",
  "MSI_ENDPOINT",
  "MSI_SECRET",
  "NODE_TLS_REJECT_UNAUTHORIZED",
]);

const LOOPBACK = "127.0.0.1,localhost";

/** The file of the federated token that the default environment logs in with. */
export function ownerTokenFile(folder: string): string {
  return join(folder, "owner-token.jwt");
}

/**
 * The variables by which official SDKs and `az` reach the twin of a folder, unmodified. No secret is
 * among them: the login is a federated token in a file of mode 0600.
 */
export function twinEnvironment(options: {
  readonly folder: string;
  readonly proxyPort: number;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly clientId: string;
}): TwinEnvironment {
  const { folder } = options;
  const proxy = `http://127.0.0.1:${options.proxyPort}`;
  const bundle = join(folder, "tls", "bundle.pem");
  return {
    HTTPS_PROXY: proxy,
    https_proxy: proxy,
    NO_PROXY: LOOPBACK,
    no_proxy: LOOPBACK,
    // Node's own fetch follows HTTPS_PROXY with this alone.
    NODE_USE_ENV_PROXY: "1",
    NODE_EXTRA_CA_CERTS: join(folder, "tls", "ca.pem"),
    REQUESTS_CA_BUNDLE: bundle,
    SSL_CERT_FILE: bundle,
    CURL_CA_BUNDLE: bundle,
    AZURE_AUTHORITY_HOST: "https://login.microsoftonline.com/",
    AZURE_TENANT_ID: options.tenantId,
    AZURE_CLIENT_ID: options.clientId,
    AZURE_SUBSCRIPTION_ID: options.subscriptionId,
    AZURE_FEDERATED_TOKEN_FILE: ownerTokenFile(folder),
    // `az` keeps its login here, apart from the person's own.
    AZURE_CONFIG_DIR: join(folder, "az"),
    AZURE_CORE_COLLECT_TELEMETRY: "false",
  };
}

/**
 * The same for a program that logs in as a managed identity, by App Service's endpoint. The header's
 * value is a secret of this machine's twin alone, and the SDKs take it from a variable only.
 */
export function managedIdentityEnvironment(
  environment: TwinEnvironment,
  options: {
    readonly clientId: string;
    readonly running: { readonly proxyPort: number; readonly identityHeader: string };
  },
): TwinEnvironment {
  const { AZURE_FEDERATED_TOKEN_FILE: _, ...rest } = environment;
  return {
    ...rest,
    AZURE_CLIENT_ID: options.clientId,
    IDENTITY_ENDPOINT: `http://127.0.0.1:${options.running.proxyPort}${MANAGED_IDENTITY_PATH}`,
    IDENTITY_HEADER: options.running.identityHeader,
  };
}

/** A program's environment inside the twin: `base` without what leads past it, and the twin's. */
export function withTwin(
  base: Readonly<Record<string, string | undefined>>,
  environment: TwinEnvironment,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(base))
    if (value !== undefined && !REMOVED.has(name)) result[name] = value;
  return { ...result, ...environment };
}
