import { CLUSTER_TYPES } from "./types/clusters.ts";
import { COMPUTE_TYPES } from "./types/compute.ts";
import { KEY_VAULT_TYPES } from "./types/key-vaults.ts";
import { NETWORK_TYPES } from "./types/network.ts";
import { SECURITY_TYPES } from "./types/security.ts";
import { STORAGE_TYPES } from "./types/storage.ts";
import type { TypeSpec } from "./type-spec.ts";

/** Every type of resource that the double knows. */
export const TYPE_SPECS: readonly TypeSpec[] = [
  ...KEY_VAULT_TYPES,
  ...SECURITY_TYPES,
  ...STORAGE_TYPES,
  ...NETWORK_TYPES,
  ...COMPUTE_TYPES,
  ...CLUSTER_TYPES,
];

const BY_TYPE = new Map(TYPE_SPECS.map((spec) => [spec.type.toLowerCase(), spec]));

/** The namespaces of those types, Microsoft.Resources beside them. */
export const NAMESPACES: readonly string[] = [
  ...new Set(["Microsoft.Resources", ...TYPE_SPECS.map(({ type }) => type.split("/")[0] ?? "")]),
].sort();

/** What is known of a type, or null. */
export function typeSpec(type: string): TypeSpec | null {
  return BY_TYPE.get(type.toLowerCase()) ?? null;
}
