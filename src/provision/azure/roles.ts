/** A built-in role: its name, its id, and whether it lets its holder have a key unwrap. */
export type Role = {
  readonly name: string;
  readonly id: string;
  readonly unwraps: boolean;
};

const role = (name: string, id: string, unwraps = false): Role => ({ name, id, unwraps });

/**
 * The built-in roles that the template gives.
 * @see learn.microsoft.com/azure/role-based-access-control/built-in-roles
 */
export const ROLES = {
  acrPull: role("AcrPull", "7f951dda-4ed3-4680-a7ca-43fe172d538d"),
  aksClusterAdmin: role(
    "Azure Kubernetes Service RBAC Cluster Admin",
    "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b",
  ),
  aksClusterUser: role(
    "Azure Kubernetes Service Cluster User Role",
    "4abbcc35-e782-43d8-92c5-2d3f1bd2253f",
  ),
  aksWriter: role("Azure Kubernetes Service RBAC Writer", "a7ffa36f-339b-4b5c-8bdf-e2c188b2c0eb"),
  attestationContributor: role("Attestation Contributor", "bbf86eb8-f7b4-4cce-96e4-18cddf81d86e"),
  attestationReader: role("Attestation Reader", "fd1bd22b-8476-40bc-a0bc-69b95687b9f3"),
  blobContributor: role("Storage Blob Data Contributor", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"),
  blobOwner: role("Storage Blob Data Owner", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"),
  blobReader: role("Storage Blob Data Reader", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"),
  identityOperator: role("Managed Identity Operator", "f1a07417-d97a-45cb-824c-7a7467783830"),
  keyVaultCertificatesOfficer: role(
    "Key Vault Certificates Officer",
    "a4417e6f-fecd-4de8-b567-7b0420556985",
  ),
  keyVaultCryptoOfficer: role(
    "Key Vault Crypto Officer",
    "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
    true,
  ),
  keyVaultCryptoUser: role("Key Vault Crypto User", "12338af0-0e69-4776-bea7-57ae8d297424", true),
  keyVaultEncryptionUser: role(
    "Key Vault Crypto Service Encryption User",
    "e147488a-f6f5-4113-8e2d-b22465e65bf6",
    true,
  ),
  keyVaultAdministrator: role(
    "Key Vault Administrator",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    true,
  ),
  keyVaultReader: role("Key Vault Reader", "21090545-7ca7-4776-b22c-e363652d74d2"),
  keyVaultReleaseUser: role(
    "Key Vault Crypto Service Release User",
    "08bbd89e-9f13-488c-ac41-acfcb10c90ab",
  ),
  keyVaultSecretsOfficer: role("Key Vault Secrets Officer", "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"),
  keyVaultSecretsUser: role("Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6"),
  networkContributor: role("Network Contributor", "4d97b98b-1d4f-4787-a291-c67834d212e7"),
} as const satisfies Readonly<Record<string, Role>>;

/** Roles that give more than any part of ppml needs. */
export const BROAD_ROLES: ReadonlyMap<string, string> = new Map([
  ["8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner"],
  ["b24988ac-6180-42a0-ab88-20f7382dd24c", "Contributor"],
  ["18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "User Access Administrator"],
]);

/** The role of that id. */
export function roleById(id: string): Role | undefined {
  return Object.values(ROLES).find((one) => one.id === id);
}
