import { z } from "zod";
import { toTimestamp } from "../../../base/index.ts";
import { maaIssuerOf } from "../../maa/service.ts";
import { builtInRole } from "../../rbac/built-in-roles.ts";
import { PRINCIPALS, RESOURCES, ROLE_ASSIGNMENTS } from "../../state-kinds.ts";
import { addPrincipal, newPrincipal } from "../../first-start.ts";
import { ArmRefusal, badRequest } from "../refusal.ts";
import { textAt } from "../type-spec.ts";
import type { ArmContext, Json, ResourceInput, TypeSpec } from "../type-spec.ts";
import { guidSchema, kept, newId, onOff } from "./shapes.ts";

const identities: TypeSpec = {
  type: "Microsoft.ManagedIdentity/userAssignedIdentities",
  apiVersions: ["2024-11-30", "2025-05-31-preview", "2023-07-31-preview", "2023-01-31"],
  name: /^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$/,
  isTracked: true,
  hasOptionalProperties: true,
  properties: z.strictObject({ isolationScope: z.enum(["None", "Regional"]).optional() }),
  complete: (input, { tenantId }) => ({
    properties: {
      ...input.properties,
      tenantId,
      principalId: kept(input, "principalId", newId),
      clientId: kept(input, "clientId", newId),
    },
  }),
  onPut: ({ id, name, properties }, { state, tenantId }) => {
    const objectId = textAt(properties, "principalId");
    addPrincipal(state, {
      ...newPrincipal({ tenantId, displayName: name }),
      objectId,
      clientId: textAt(properties, "clientId"),
      kind: "managed-identity",
      resourceId: id,
    });
  },
  // Its role assignments stay, as in Azure, and are of nobody.
  onDelete: ({ properties }, { state }) => {
    state.remove(PRINCIPALS, textAt(properties, "principalId"));
  },
};

const federatedCredentials: TypeSpec = {
  type: "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
  apiVersions: identities.apiVersions,
  name: /^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$/,
  isTracked: false,
  properties: z.strictObject({
    issuer: z.url({ protocol: /^https$/ }),
    subject: z.string().min(1).max(600),
    audiences: z.array(z.string()).length(1),
  }),
  check: ({ id, properties }, { state }) => {
    const siblings = state
      .list(RESOURCES, {
        prefix: `${(id.parent ?? "").toLowerCase()}/federatedidentitycredentials/`,
      })
      .filter(({ id: key }) => key !== id.key);
    const { issuer, subject } = properties;
    if (
      siblings.some(
        ({ document }) =>
          document.properties["issuer"] === issuer && document.properties["subject"] === subject,
      )
    )
      throw new ArmRefusal(409, "Conflict", {
        message: "Issuer and subject combination already exists for this Managed Identity.",
      });
    if (siblings.length >= 20)
      throw badRequest("BadRequest", "Too many Federated Identity Credentials: at most 20.");
  },
};

const roleAssignments: TypeSpec = {
  type: "Microsoft.Authorization/roleAssignments",
  apiVersions: ["2022-04-01", "2020-10-01-preview", "2020-04-01-preview"],
  name: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  isTracked: false,
  isExtension: true,
  properties: z.strictObject({
    roleDefinitionId: z.string(),
    principalId: guidSchema,
    principalType: z
      .enum(["User", "Group", "ServicePrincipal", "ForeignGroup", "Device"])
      .optional(),
    description: z.string().max(2000).optional(),
    condition: z.null("the double does not evaluate conditions").optional(),
    conditionVersion: z.null().optional(),
    delegatedManagedIdentityResourceId: z.null().optional(),
  }),
  check: checkAssignment,
  complete: (input, { clock, tenantId }) => ({
    properties: {
      principalType: "ServicePrincipal",
      condition: null,
      conditionVersion: null,
      ...input.properties,
      scope: input.id.scope === "" ? "/" : input.id.scope,
      tenantId,
      createdOn: kept(input, "createdOn", () => toTimestamp(clock())),
      updatedOn: kept(input, "updatedOn", () => toTimestamp(clock())),
      createdBy: kept(input, "createdBy", () => input.principal.objectId),
    },
  }),
  onPut: ({ id, properties }, { state }) => {
    state.put(ROLE_ASSIGNMENTS, id.toLowerCase(), {
      id,
      scope: textAt(properties, "scope"),
      principalId: textAt(properties, "principalId"),
      principalType: textAt(properties, "principalType"),
      roleDefinitionId: textAt(properties, "roleDefinitionId"),
      createdOn: textAt(properties, "createdOn"),
      createdBy: textAt(properties, "createdBy"),
      description: textAt(properties, "description"),
    });
  },
  onDelete: ({ id }, { state }) => {
    state.remove(ROLE_ASSIGNMENTS, id.toLowerCase());
  },
};

/** @see learn.microsoft.com/azure/role-based-access-control/troubleshooting */
function checkAssignment(input: ResourceInput, { state, tenantId }: ArmContext): void {
  const { properties, before, id } = input;
  const role = textAt(properties, "roleDefinitionId");
  const principalId = textAt(properties, "principalId");
  if (builtInRole(role) === null)
    throw badRequest(
      "RoleDefinitionDoesNotExist",
      `The specified role definition with ID '${role.split("/").at(-1) ?? ""}' does not exist. (The double knows the built-in roles of docs/twin.md.)`,
    );
  if (properties["principalType"] === undefined && state.get(PRINCIPALS, principalId) === null)
    throw badRequest(
      "PrincipalNotFound",
      `Principal ${principalId.replaceAll("-", "")} does not exist in the directory ${tenantId}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype`,
    );
  const was = before?.properties ?? {};
  if (before !== null && (was["principalId"] !== principalId || !isSameRole(was, role)))
    throw badRequest(
      "RoleAssignmentUpdateNotPermitted",
      "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
    );
  const twin = state
    .list(ROLE_ASSIGNMENTS)
    .find(
      ({ id: key, document }) =>
        key !== id.key &&
        document.principalId === principalId &&
        document.scope.toLowerCase() === id.scope.toLowerCase() &&
        isSameRole(document, role),
    );
  if (twin !== undefined)
    throw new ArmRefusal(409, "RoleAssignmentExists", {
      message: `The role assignment already exists. The ID of the existing role assignment is ${(twin.id.split("/").at(-1) ?? "").replaceAll("-", "")}.`,
    });
}

function isSameRole(one: Json, role: string): boolean {
  const name = textAt(one, "roleDefinitionId").split("/").at(-1)?.toLowerCase();
  return name === role.split("/").at(-1)?.toLowerCase();
}

const attestation: TypeSpec = {
  type: "Microsoft.Attestation/attestationProviders",
  apiVersions: ["2021-06-01", "2020-10-01"],
  name: /^[a-z0-9]{3,24}$/,
  isTracked: true,
  worldwide: "attestation",
  properties: z.strictObject({
    publicNetworkAccess: onOff.optional(),
    policySigningCertificates: z
      .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).optional() })
      .optional(),
    tpmAttestationAuthentication: onOff.optional(),
  }),
  complete: ({ id, location, properties }) => {
    const host = `${id.name}.${regionCode(location)}.attest.azure.net`;
    return {
      properties: {
        publicNetworkAccess: "Enabled",
        ...properties,
        attestUri: `https://${host}`,
        trustModel: "AAD",
        status: "Ready",
        // Whose tokens the double issues there: never Azure's own name.
        ppmlSimulatedIssuer: maaIssuerOf(host),
      },
    };
  },
};

/** Azure Attestation's short names of regions: eastus2 is eus2. */
function regionCode(location: string): string {
  const names: Readonly<Record<string, string>> = {
    eastus: "eus",
    eastus2: "eus2",
    westus: "wus",
    westus3: "wus3",
    centralus: "cus",
    northeurope: "neu",
    westeurope: "weu",
    uksouth: "uks",
    southeastasia: "sasia",
    japaneast: "jpe",
  };
  return names[location] ?? location.slice(0, 8);
}

/** Identities, roles and attestation. */
export const SECURITY_TYPES: readonly TypeSpec[] = [
  identities,
  federatedCredentials,
  roleAssignments,
  attestation,
];
