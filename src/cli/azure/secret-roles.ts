import type { AzureConnection } from "../../azure/index.ts";
import { type AzureSection, type SecretRole, secretRoles } from "../../provision/index.ts";
import { principalIdOf } from "./identity-principal.ts";

const ROLES_API = "2022-04-01";

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
    const principalId = await principalIdOf(connection, {
      name: role.identity,
      id: role.identityId,
    });
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
