import type { AzureConnection } from "../../azure/index.ts";
import { PpmlError } from "../../base/index.ts";
import type { NamedIdentity } from "../../provision/index.ts";

const IDENTITIES_API = "2024-11-30";
const OBJECT_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The object id in Entra ID of a managed identity: what roles and ACLs name.
 * People run commands that it stands in: an answer of another form is none.
 * @throws azure.not_found where it is not there; azure.failed where ARM gives no GUID, or what else
 * Azure refuses
 */
export async function principalIdOf(
  connection: AzureConnection,
  { name, id }: NamedIdentity,
): Promise<string> {
  const { armRequest, toAzureFailure } = await import("../../azure/index.ts");
  const call = { method: "GET", path: id, apiVersion: IDENTITIES_API } as const;
  const { body } = await armRequest(connection, call).catch((error: unknown) => {
    throw toAzureFailure(error, { what: `look at the identity ${name}` });
  });
  const principalId = principalOf(body);
  if (principalId !== null && OBJECT_ID.test(principalId)) return principalId;
  if (principalId !== null)
    throw new PpmlError(
      "azure.failed",
      `expected a GUID as the object id of the identity ${name}; ARM gave ${JSON.stringify(principalId.slice(0, 60))}: run it again, and if it stays so look who answers in Azure's place`,
    );
  throw new PpmlError(
    "azure.not_found",
    `the identity ${name} is not there: apply first, or correct azure.identities.${name}.existing`,
  );
}

function principalOf(body: unknown): string | null {
  if (typeof body !== "object" || body === null || !("properties" in body)) return null;
  const { properties } = body;
  if (typeof properties !== "object" || properties === null) return null;
  const id: unknown = Reflect.get(properties, "principalId");
  return typeof id === "string" ? id : null;
}
