import type { AzureConnection } from "../../azure/index.ts";
import { type AzureSection, type SecretRole, secretRoles } from "../../provision/index.ts";
import { principalIdOf } from "./identity-principal.ts";

const ROLES_API = "2022-04-01";
const VAULT_API = "2026-02-01";

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

/**
 * Whether the vault has a secret, by ARM. It is asked before each role: of the parts of a resource ARM
 * has been seen to take rights on what is not there, and a role on nothing helps nobody.
 * @see github.com/Azure/azure-powershell/issues/3771
 */
async function isSecretThere(connection: AzureConnection, role: SecretRole): Promise<boolean> {
  const { armRequest, toAzureFailure } = await import("../../azure/index.ts");
  const [path = ""] = role.id.split(/\/providers\/Microsoft\.Authorization\//i);
  try {
    const call = { method: "GET", path, apiVersion: VAULT_API } as const;
    return (await armRequest(connection, call)).status !== 404;
  } catch (error) {
    // Who may give roles and not look is told by the role's own answer.
    if (isRefused(error)) return true;
    throw toAzureFailure(error, { what: `look for the secret ${role.secret}` });
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof Error && "statusCode" in error && error.statusCode === 403;
}

/** False where the secret is not there. */
async function give(connection: AzureConnection, role: SecretRole): Promise<boolean> {
  const { armRequest, toAzureFailure } = await import("../../azure/index.ts");
  if (!(await isSecretThere(connection, role))) return false;
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
