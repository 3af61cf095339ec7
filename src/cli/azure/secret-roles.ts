import type { AzureConnection } from "../../azure/index.ts";
import { PpmlError } from "../../base/index.ts";
import { type AzureSection, type SecretRole, secretRoles } from "../../provision/index.ts";

const ROLES_API = "2022-04-01";
const IDENTITIES_API = "2024-11-30";

/** Which roles on secrets stand now, and which wait for their secret; texts for people. */
export type SecretRolesGiven = {
  readonly given: readonly string[];
  readonly waiting: readonly string[];
};

/**
 * Gives workloads their roles on the secrets that are in the vault. A secret that is not there yet is
 * no error: the next run gives the role. Run as often as one likes.
 * @throws azure.denied azure.failed, or what else Azure refuses
 */
export async function giveSecretRoles(
  connection: AzureConnection,
  section: AzureSection,
): Promise<SecretRolesGiven> {
  const given: string[] = [];
  const waiting: string[] = [];
  for (const role of secretRoles(section)) {
    const text = `${role.identity} on ${role.secret}`;
    ((await give(connection, role)) ? given : waiting).push(text);
  }
  return { given, waiting };
}

/** Takes the same roles away: the stack does not have them. */
export async function takeSecretRoles(
  connection: AzureConnection,
  section: AzureSection,
): Promise<void> {
  const { armRequest, toAzureFailure } = await import("../../azure/index.ts");
  for (const { id, identity, secret } of secretRoles(section))
    await armRequest(connection, { method: "DELETE", path: id, apiVersion: ROLES_API }).catch(
      (error: unknown) => {
        throw toAzureFailure(error, { what: `take ${identity}'s role on the secret ${secret}` });
      },
    );
}

/** False where the secret is not there. */
async function give(connection: AzureConnection, role: SecretRole): Promise<boolean> {
  const { armRequest, toAzureFailure } = await import("../../azure/index.ts");
  try {
    const { body } = await armRequest(connection, {
      method: "GET",
      path: role.identityId,
      apiVersion: IDENTITIES_API,
    });
    const principalId = principalOf(body);
    if (principalId === null)
      throw new PpmlError(
        "azure.not_found",
        `the identity ${role.identity} is not there: apply first, or correct azure.identities.${role.identity}.existing`,
      );
    const { status } = await armRequest(connection, {
      method: "PUT",
      path: role.id,
      apiVersion: ROLES_API,
      body: {
        properties: {
          roleDefinitionId: role.roleDefinitionId,
          principalId,
          principalType: "ServicePrincipal",
          description: "ppml: Key Vault Secrets User",
        },
      },
    });
    return status !== 404;
  } catch (error) {
    throw toAzureFailure(error, {
      what: `give ${role.identity} its role on the secret ${role.secret}`,
    });
  }
}

function principalOf(body: unknown): string | null {
  if (typeof body !== "object" || body === null || !("properties" in body)) return null;
  const { properties } = body;
  if (typeof properties !== "object" || properties === null) return null;
  const id: unknown = Reflect.get(properties, "principalId");
  return typeof id === "string" ? id : null;
}
