import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../base/index.ts";
import type { TwinState } from "./state.ts";

/** Who asks, as a token of the twin's Entra ID says it. */
export type TwinPrincipal = {
  /** The object id, which role assignments name. */
  readonly objectId: string;
  readonly tenantId: string;
  /** The application (client) id of a service principal or managed identity; null for a user. */
  readonly applicationId: string | null;
};

/** What one of the twin's services asks the others about: all of it computed from their state. */
export type TwinAuthority = {
  /**
   * The principal of a request's bearer token, for one of these audiences; null where there is
   * none, or it is expired, of another issuer or audience.
   */
  readonly principalOf: (
    request: { readonly authorization: string | undefined },
    audiences: readonly string[],
  ) => Promise<TwinPrincipal | null>;
  /** Whether a role assignment at the scope or above it gives the principal the (data) action. */
  readonly allows: (
    principal: TwinPrincipal,
    asked: { readonly action: string; readonly isDataAction: boolean; readonly scope: string },
  ) => boolean;
  /** An ARM resource that exists, found by its type (letter case does not count) and its name. */
  readonly resource: (
    type: string,
    name: string,
  ) => { readonly id: string; readonly body: Readonly<Record<string, unknown>> } | null;
};

/** One service's double: the hosts that it answers for, and its HTTP handler. */
export type TwinService = {
  /** entra, arm, keyvault, maa, blob, dfs. */
  readonly name: string;
  readonly serves: (host: string) => boolean;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * Told by ARM's double of a resource that was made, changed or taken away, before ARM says that it
   * succeeded: a key of a vault, a container of an account. What it gives back ARM adds to the
   * resource's properties (`keyUri`). What it throws fails the resource.
   */
  readonly onResource?: (
    change: ResourceChange,
  ) => Promise<Readonly<Record<string, unknown>> | null> | Readonly<Record<string, unknown>> | null;
  readonly close?: () => Promise<void>;
};

/** What happened to an ARM resource. */
export type ResourceChange = {
  /** put: made or changed. delete: taken away (a vault: soft-deleted). purge: gone for ever. */
  readonly action: "put" | "delete" | "purge" | "recover";
  readonly id: string;
  /** As Azure writes it: Microsoft.KeyVault/vaults/keys. */
  readonly type: string;
  /** With its parents' names before it: kv1/kek1. */
  readonly name: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly tags: Readonly<Record<string, string>>;
};

/** What a service is made of. */
export type TwinBase = {
  readonly state: TwinState;
  readonly authority: TwinAuthority;
  /** The twin's folder, absolute: a service may keep a folder of its own name below it. */
  readonly folder: string;
  readonly clock: Clock;
  /** Gives that many random bytes. */
  readonly random: (length: number) => Uint8Array;
  /** Tells the services of a change at ARM, and gives what they add to its properties. */
  readonly notify: (change: ResourceChange) => Promise<Readonly<Record<string, unknown>>>;
  /** Told of the double's own failures and of what it refuses, one line; never a secret. */
  readonly log: (line: string) => void;
};

/** Makes a service at the twin's start; null where it cannot be had here, which it logs. */
export type TwinServiceMaker = (base: TwinBase) => TwinService | Promise<TwinService | null> | null;
