import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { rootCertificates } from "node:tls";
import { createDefaultHttpClient } from "@azure/core-rest-pipeline";
import type { HttpClient } from "@azure/core-rest-pipeline";

/**
 * How Azure is reached. `direct`: with the certificate roots that Node brings, and no proxy, whatever
 * the environment says. `environment`: HTTPS_PROXY, NO_PROXY and NODE_EXTRA_CA_CERTS are followed,
 * as the project file must say openly: for a company's proxy, and for the local double of Azure.
 */
export type AzureTransport = "direct" | "environment";

const MAX_SOCKETS = 64;

/** The HTTP client that every Azure SDK of this process is given. */
export function azureHttpClient(transport: AzureTransport): HttpClient {
  const client = createDefaultHttpClient();
  if (transport === "environment") return client;
  // A request's own agent is followed where a proxy's would be set, by the SDK's proxy policy too.
  const https = new HttpsAgent({
    ca: [...rootCertificates],
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    minVersion: "TLSv1.2",
  });
  const http = new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS });
  return {
    sendRequest: (request) => {
      request.agent = request.url.startsWith("http:") ? http : https;
      delete request.proxySettings;
      return client.sendRequest(request);
    },
  };
}
