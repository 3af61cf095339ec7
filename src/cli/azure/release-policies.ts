import type { AzureConnection } from "../../azure/index.ts";
import { equalBytes, fromBase64Url, isPpmlError, PpmlError, utf8 } from "../../base/index.ts";
import { encodeJcs, parseJson } from "../../format/jcs.ts";
import type { ArmTemplate } from "../../provision/index.ts";
import { type Freshness, whenAllowed } from "./fresh-role.ts";

type Input = Freshness & {
  readonly connection: AzureConnection;
  readonly template: ArmTemplate;
};

/**
 * Makes the release policy of every exportable KEK of the template immutable, where it is that of the
 * template: from then on nobody can loosen it. Gives the names of those that were settled now.
 * @throws provision.protected where a KEK has another policy than the project says
 * @see Azure Key Vault REST, Update Key: release_policy.immutable
 */
export async function settleReleasePolicies(input: Input): Promise<readonly string[]> {
  const wanted = exportableKeks(input.template);
  if (wanted.length === 0) return [];
  const [{ KeyClient }, { toAzureFailure }] = await Promise.all([
    import("@azure/keyvault-keys"),
    import("../../azure/index.ts"),
  ]);
  const { credential, clientOptions } = input.connection;
  const settled: string[] = [];
  for (const { vault, name, policy } of wanted) {
    const client = new KeyClient(`https://${vault}.vault.azure.net`, credential, clientOptions);
    try {
      const { properties } = await whenAllowed(input, () => client.getKey(name));
      const { releasePolicy } = properties;
      const found = releasePolicy?.encodedPolicy;
      if (found === undefined || !isSamePolicy(found, policy))
        throw new PpmlError(
          "provision.protected",
          `KEK ${name} of ${vault} has another release policy than ppml.yaml says: somebody changed it, or the project's policy has changed since it was made. Make a new KEK under another name`,
        );
      if (releasePolicy?.immutable === true) continue;
      await client.updateKeyProperties(name, {
        releasePolicy: { encodedPolicy: policy, immutable: true },
      });
      settled.push(name);
    } catch (error) {
      const failure = toAzureFailure(error, {
        what: `make the release policy of KEK ${name} immutable`,
      });
      if (isPpmlError(failure, "azure.denied"))
        throw new PpmlError("azure.denied", failure.message, {
          cause: failure,
          detail: {
            remedy:
              "add your object id to azure.operators (az ad signed-in-user show --query id) and apply again; behind private endpoints run this in the network",
          },
        });
      throw failure;
    }
  }
  return settled;
}

function exportableKeks(template: ArmTemplate) {
  return template.resources.flatMap(({ type, name, properties }) => {
    const release = properties["release_policy"];
    if (type !== "Microsoft.KeyVault/vaults/keys" || typeof release !== "object") return [];
    const data: unknown = Reflect.get(release, "data");
    const [vault = "", key = ""] = name.split("/");
    return [{ vault, name: key, policy: fromBase64Url(String(data)) }];
  });
}

/** The service may give the JSON back in another order or spacing. */
function isSamePolicy(found: Uint8Array, wanted: Uint8Array): boolean {
  try {
    return equalBytes(encodeJcs(decoded(found)), encodeJcs(parseJson(wanted)));
  } catch {
    return false; // what is no JSON is not the policy
  }
}

/** The SDK gives the policy's bytes, some versions of the service their base64url. */
function decoded(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes).toString("utf8");
  return parseJson(text.startsWith("{") ? utf8(text) : fromBase64Url(text));
}
