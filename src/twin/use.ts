import { join } from "node:path";
import { PpmlError } from "../base/index.ts";
import { twinEnvironment } from "./environment.ts";
import type { TwinEnvironment } from "./environment.ts";
import { findRunning } from "./lock.ts";
import type { RunningTwin } from "./lock.ts";
import { PRINCIPALS, TWIN } from "./state-kinds.ts";
import type { PrincipalDocument } from "./state-kinds.ts";
import { TwinState } from "./state.ts";

/** A twin that another process runs. */
export type TwinInUse = {
  readonly running: RunningTwin;
  readonly environment: TwinEnvironment;
  readonly tenantId: string;
  readonly subscriptionId: string;
};

/** The twin that runs in a folder, with the environment for its programs; null where none does. */
export function useTwin(folder: string): TwinInUse | null {
  const running = findRunning(folder);
  if (running === null) return null;
  using state = openTwinState(folder);
  const twin = state.get(TWIN, "twin");
  if (twin === null) return null;
  const { tenantId, subscriptionId, ownerClientId: clientId } = twin;
  const { proxyPort } = running;
  const environment = twinEnvironment({ folder, proxyPort, tenantId, subscriptionId, clientId });
  return { running, environment, tenantId, subscriptionId };
}

/**
 * The state of a folder's twin, from outside its process: what is written takes effect with the next
 * request. @throws twin.state
 */
export function openTwinState(folder: string): TwinState {
  return TwinState.open(join(folder, "state.db"));
}

/** The managed identity of a name, or of a client, object or resource id. @throws twin.missing */
export function findIdentity(state: TwinState, wanted: string): PrincipalDocument {
  const text = wanted.toLowerCase();
  const found = state
    .list(PRINCIPALS)
    .map(({ document }) => document)
    .filter(({ kind }) => kind === "managed-identity")
    .filter((one) =>
      [one.displayName, one.clientId, one.objectId, one.resourceId ?? ""].some(
        (name) => name.toLowerCase() === text,
      ),
    );
  const [identity] = found;
  if (identity === undefined || found.length > 1)
    throw new PpmlError(
      "twin.missing",
      `expected the name or id of one managed identity of the twin, got ${wanted}: ${found.length} are called so`,
    );
  return identity;
}
