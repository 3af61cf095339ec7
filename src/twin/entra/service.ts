import { getRequestListener } from "@hono/node-server";
import type { TwinService } from "../service.ts";
import type { TwinState } from "../state.ts";
import { createEntraDouble, createIssuerDouble } from "./entra-double.ts";
import type { EntraOptions } from "./entra-double.ts";

const LOGIN_HOSTS = new Set(["login.microsoftonline.com", "sts.simulation.invalid"]);

/** Entra ID's double as a service of the twin. */
export function entraService(options: EntraOptions): TwinService {
  const listener = getRequestListener(createEntraDouble(options).fetch);
  return {
    name: "entra",
    serves: (host) => LOGIN_HOSTS.has(host),
    handle: (request, response) => void listener(request, response),
  };
}

/** The OIDC issuers of the double's AKS clusters as a service of the twin. */
export function issuerService(state: TwinState): TwinService {
  const listener = getRequestListener(createIssuerDouble(state).fetch);
  return {
    name: "oidc",
    serves: (host) =>
      host === "oidc.simulation.invalid" || host.endsWith(".oic.prod-aks.azure.com"),
    handle: (request, response) => void listener(request, response),
  };
}
