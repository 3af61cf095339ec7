import { createHash } from "node:crypto";
import { API_VERSIONS, type ArmResource, type ArmType } from "./resource.ts";

// The only expressions of the template: the id of a resource of the same group, and what only Azure
// knows once a resource is there. Everything else is resolved before.

/** `[resourceId('TYPE', 'NAME', ...)]`: the id of a resource of the deployment's own group. */
export function idOf(type: ArmType, ...names: readonly string[]): string {
  return `[${resourceIdCall(type, names)}]`;
}

/** The id of a resource of the template. */
export function idOfResource({ type, name }: Pick<ArmResource, "type" | "name">): string {
  return idOf(type, ...name.split("/"));
}

/** `[reference(resourceId(...), 'VERSION').PATH]`: what a resource says once it is there. */
export function referenceOf(type: ArmType, name: string, path: string): string {
  const id = resourceIdCall(type, name.split("/"));
  return `[reference(${id}, '${API_VERSIONS[type]}').${path}]`;
}

/** `[reference('ID', 'VERSION').PATH]`: the same for a resource of any group. */
export function referenceById(type: ArmType, id: string, path: string): string {
  return `[reference('${id}', '${API_VERSIONS[type]}').${path}]`;
}

/**
 * A GUID that follows from its parts, for names that must stay the same from run to run (role
 * assignments): the first 16 bytes of a SHA-256, in the form of UUID version 8.
 * @see RFC 9562, section 5.8
 */
export function guidFrom(...parts: readonly string[]): string {
  const hash = createHash("sha256").update(JSON.stringify(["ppml guid v1", ...parts]));
  const bytes = hash.digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

function resourceIdCall(type: ArmType, names: readonly string[]): string {
  return `resourceId('${type}', ${names.map((name) => `'${name}'`).join(", ")})`;
}
