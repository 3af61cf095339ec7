import { z } from "zod";

// Azure's own rules of names, one by one: what ARM would refuse only after minutes is refused here.

/** A subscription's, tenant's or principal's id, lower-case. */
export const guidSchema = z
  .string()
  .regex(
    /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
    "expected a GUID in lower case, such as 00000000-0000-0000-0000-000000000000",
  );

/** A region's name as ARM writes it. */
export const regionSchema = z
  .string()
  .regex(/^[a-z]{3,30}[0-9]{0,2}$/, "expected a region's name, such as eastus2");

/** A resource group's name. @see Naming rules for Azure resources, Microsoft.Resources */
export const resourceGroupSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9_()-](?:[A-Za-z0-9_().-]{0,88}[A-Za-z0-9_()-])?$/,
    "expected a resource group's name: letters, digits, '_', '-', '.', parentheses, at most 90, no '.' at the end",
  );

/** The beginning of the names of what only lives in the group. */
export const prefixSchema = z
  .string()
  .regex(
    /^[a-z](?:[a-z0-9-]{0,18}[a-z0-9])$/,
    "expected 2 to 20 lower-case letters, digits or '-', a letter first, no '-' at the end",
  );

/** A storage account's name, unique in Azure. */
export const storageAccountSchema = z
  .string()
  .regex(/^[a-z0-9]{3,24}$/, "expected 3 to 24 lower-case letters or digits");

/** A filesystem's name (a blob container's). */
export const filesystemSchema = z
  .string()
  .regex(
    /^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/,
    "expected 3 to 63 lower-case letters, digits or single '-' between them",
  );

/** A Key Vault's name, unique in Azure. */
export const vaultNameSchema = z
  .string()
  .regex(
    /^(?=.{3,24}$)[A-Za-z](?:[A-Za-z0-9]|-(?!-))*[A-Za-z0-9]$/,
    "expected 3 to 24 letters, digits or single '-', a letter first, no '-' at the end",
  );

/** An attestation provider's name. */
export const attestationNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9]{3,24}$/, "expected 3 to 24 letters or digits");

/** A container registry's name, unique in Azure. */
export const registryNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9]{5,50}$/, "expected 5 to 50 letters or digits");

/** A Log Analytics workspace's name. */
export const workspaceNameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$/,
    "expected 4 to 63 letters, digits or '-', no '-' first or last",
  );

/** A managed cluster's name. */
export const clusterNameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/,
    "expected 1 to 63 letters, digits, '-' or '_', a letter or digit first and last",
  );

/** A name of Kubernetes: a namespace or service account. @see RFC 1123 */
export const kubernetesNameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "expected lower-case letters, digits or '-'");

/** An IPv4 network such as 10.1.0.0/16. Whether its host bits are zero is checked with the overlaps. */
export const cidrSchema = z
  .string()
  .regex(
    /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\/(?:3[0-2]|[12]?\d)$/,
    "expected an IPv4 network such as 10.1.0.0/16",
  );

/** An IPv4 address. */
export const ipv4Schema = z
  .string()
  .regex(
    /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)$/,
    "expected an IPv4 address such as 10.0.0.10",
  );

const GROUP_ID = "/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/?#\\s\\[\\]']{1,90}";

/** The id of a resource group. */
export const groupIdSchema = z
  .string()
  .regex(new RegExp(`^${GROUP_ID}$`), "expected /subscriptions/ID/resourceGroups/NAME");

/** The id of a resource of `type`, such as `Microsoft.KeyVault/vaults`. */
export function resourceIdSchema(type: string): z.ZodString {
  const escaped = type.replaceAll(".", "\\.");
  return z
    .string()
    .regex(
      new RegExp(`^${GROUP_ID}/providers/${escaped}/[A-Za-z0-9_.()-]{1,90}$`),
      `expected the id of a resource: /subscriptions/ID/resourceGroups/GROUP/providers/${type}/NAME`,
    );
}

/** What takes the place of a resource that ppml would make: its id, or its name in the same group. */
export function existingSchema(types: readonly [string, ...string[]], name: z.ZodString) {
  return z
    .union([...types.map(resourceIdSchema), name])
    .optional()
    .describe(
      `Use this one instead: its id, or its name in the same group (${types.join(" or ")}).`,
    );
}
