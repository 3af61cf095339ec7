import { z } from "zod";
import { defineKind } from "./state.ts";

/**
 * What several services of the double know together. A service's own kinds stand with it, and are
 * named for it: `keyvault-key`, `dfs-path`.
 */

const guid = z.guid();

/** The twin itself: one document with the id "twin", made at the first start. */
export const TWIN = defineKind(
  "twin",
  z.strictObject({
    tenantId: guid,
    subscriptionId: guid,
    /** The object id of who may do everything at the subscription. */
    ownerObjectId: guid,
    /** The application id that the default environment logs in as. */
    ownerClientId: guid,
  }),
);

/** Entra ID's tenants by their GUID. */
export const TENANTS = defineKind(
  "tenant",
  z.strictObject({ tenantId: guid, displayName: z.string(), defaultDomain: z.string() }),
);

/** Subscriptions by their GUID. */
export const SUBSCRIPTIONS = defineKind(
  "subscription",
  z.strictObject({ subscriptionId: guid, tenantId: guid, displayName: z.string() }),
);

/**
 * Principals by their object id: service principals and managed identities. `secrets` holds SHA-256
 * digests in hex, never a secret.
 */
export const PRINCIPALS = defineKind(
  "principal",
  z.strictObject({
    objectId: guid,
    tenantId: guid,
    /** The application (client) id. */
    clientId: guid,
    displayName: z.string(),
    kind: z.enum(["service-principal", "managed-identity"]),
    /** The ARM id of a managed identity's resource, or of what it is the system's identity of. */
    resourceId: z.string().nullable(),
    secrets: z.array(
      z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/), expiresMs: z.number() }),
    ),
    /** Of the principal's own; those of managed identities are ARM resources below it. */
    federatedCredentials: z.array(
      z.strictObject({
        issuer: z.string(),
        subject: z.string(),
        audiences: z.array(z.string()),
      }),
    ),
  }),
);
export type PrincipalDocument = z.infer<(typeof PRINCIPALS)["schema"]>;

/**
 * OIDC issuers by their URL, as AKS clusters have one, with the private key that signs the tokens of
 * service accounts. Entra ID's double knows no other issuers, and looks nothing up in the network.
 */
export const OIDC_ISSUERS = defineKind(
  "oidc-issuer",
  z.strictObject({ issuer: z.string(), kid: z.string(), privateKeyPem: z.string() }),
);

/** Private keys that services sign with, by the service's name. */
export const SIGNING_KEYS = defineKind(
  "signing-key",
  z.strictObject({ kid: z.string(), privateKeyPem: z.string() }),
);

/**
 * ARM resources (resource groups too) by their id in small letters, as a GET gives them: `id`, `name`,
 * `type`, `location`, `properties` and so on.
 */
export const RESOURCES = defineKind(
  "resource",
  z.looseObject({
    id: z.string(),
    name: z.string(),
    type: z.string(),
    properties: z.record(z.string(), z.unknown()),
  }),
);
export type ResourceDocument = z.infer<(typeof RESOURCES)["schema"]>;

/** Role assignments by their id in small letters. */
export const ROLE_ASSIGNMENTS = defineKind(
  "role-assignment",
  z.strictObject({
    id: z.string(),
    scope: z.string(),
    principalId: guid,
    principalType: z.string(),
    /** An ARM id that ends with the GUID of a built-in role. */
    roleDefinitionId: z.string(),
    createdOn: z.string(),
    createdBy: z.string(),
    description: z.string().nullable(),
  }),
);
export type RoleAssignmentDocument = z.infer<(typeof ROLE_ASSIGNMENTS)["schema"]>;
