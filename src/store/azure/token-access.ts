import { createDefaultHttpClient } from "@azure/core-rest-pipeline";
// Not the stage's index: it would load @azure/identity.
import { azureHttpClient } from "../../azure/transport.ts";
import { PpmlError } from "../../base/index.ts";
import type { AzureAccess, LakeNetwork } from "./access.ts";

/** A login that somebody else made: a token for Azure Storage alone, and how it is reached. */
export type HandedLogin = {
  readonly token: string;
  /** When it ends, in milliseconds since 1970. */
  readonly expiresMs: number;
  /** Null for the platform's own certificate roots and no proxy. */
  readonly network: LakeNetwork | null;
};

/** Asks a data lake with a token that was handed over, until it ends. */
export function tokenAccess(login: HandedLogin): AzureAccess {
  const { token, expiresMs, network } = login;
  return {
    credential: {
      getToken: async () => {
        if (Date.now() >= expiresMs)
          throw new PpmlError(
            "azure.login",
            `the login that the host handed over ended at ${new Date(expiresMs).toISOString()}: run the job again, or make it shorter`,
          );
        return { token, expiresOnTimestamp: expiresMs };
      },
    },
    clientOptions: {
      httpClient: network === null ? azureHttpClient("direct") : createDefaultHttpClient(),
    },
    ...(network === null ? {} : { network }),
  };
}
