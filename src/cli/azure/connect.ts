import type { AzureConnection } from "../../azure/index.ts";
import type { ArmPort } from "../../provision/azure/deploy/index.ts";
import type { AzureSection } from "../../provision/index.ts";

/**
 * Connects to Azure as the section says: its tenant, its transport. Nothing is asked yet. The SDKs
 * are loaded here, by the commands that need them alone.
 */
export async function connectSection(section: AzureSection): Promise<{
  readonly connection: AzureConnection;
  readonly arm: ArmPort;
}> {
  const [{ connectAzure }, { connectArm }] = await Promise.all([
    import("../../azure/index.ts"),
    import("../../provision/azure/deploy/index.ts"),
  ]);
  const { transport, tenant } = section;
  const connection = connectAzure({ transport, tenantId: tenant });
  return { connection, arm: await connectArm(connection, section) };
}
