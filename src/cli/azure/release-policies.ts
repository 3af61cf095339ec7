import type { KeyClient } from "@azure/keyvault-keys";
import type { AzureConnection } from "../../azure/index.ts";
import { equalBytes, fromBase64Url, isPpmlError, PpmlError, utf8 } from "../../base/index.ts";
import { encodeJcs, parseJson } from "../../format/jcs.ts";
// Not in the stage's index: the measured image follows that one, and has no use of Azure's SDKs.
import { factsOf } from "../../key/azure/facts.ts";
import type { ArmTemplate } from "../../provision/index.ts";
import { operatorCommands } from "./managed-hsm.ts";
import { type Freshness, whenAllowed } from "./fresh-role.ts";

type Input = Freshness & {
  readonly connection: AzureConnection;
  readonly template: ArmTemplate;
};

/**
 * Makes the release policy of every exportable KEK of the template immutable, where it is that of the
 * template: from then on nobody can loosen it. Gives the names of those that were settled now.
 * @throws provision.protected where a KEK has another policy than the project says, or unwraps too
 * @see Azure Key Vault REST, Update Key: release_policy.immutable
 */
export async function settleReleasePolicies(input: Input): Promise<readonly string[]> {
  const wanted = exportableKeks(input.template);
  if (wanted.length === 0) return [];
  const [keyVault, { toAzureFailure }] = await Promise.all([
    import("@azure/keyvault-keys"),
    import("../../azure/index.ts"),
  ]);
  const { credential, clientOptions } = input.connection;
  const settled: string[] = [];
  const denied: Denied[] = [];
  for (const kek of wanted) {
    const { host, isOfHsm, name } = kek;
    const client = new keyVault.KeyClient(`https://${host}`, credential, clientOptions);
    try {
      if (await settle(input, client, kek)) settled.push(name);
    } catch (error) {
      const failure = toAzureFailure(error, {
        what: `make the release policy of KEK ${name} immutable`,
      });
      if (!isPpmlError(failure, "azure.denied")) throw failure;
      if (!isOfHsm) throw deniedError(failure, { remedy: OWN_REMEDY });
      denied.push({ name, failure });
    }
  }
  requireNoneDenied(input, denied);
  return settled;
}

type ExportableKek = ReturnType<typeof exportableKeks>[number];
type Denied = { readonly name: string; readonly failure: PpmlError };

/** Whether the policy of this KEK was made immutable now. @throws provision.protected */
async function settle(input: Input, client: KeyClient, kek: ExportableKek): Promise<boolean> {
  const { vault, isOfHsm, name, policy } = kek;
  // Roles inside a Managed HSM are given by people, after the deployment: there is no waiting for them.
  const get = () => client.getKey(name);
  const key = await (isOfHsm ? get() : whenAllowed(input, get));
  const { releasePolicy } = key.properties;
  const found = releasePolicy?.encodedPolicy;
  if (found === undefined || !isSamePolicy(found, policy))
    throw new PpmlError(
      "provision.protected",
      `KEK ${name} of ${vault} has another release policy than ppml.yaml says: somebody changed it, or the project's policy has changed since it was made. Make a new KEK under another name`,
    );
  // ARM leaves a key that was there before as it is, whatever the template says of it.
  const properties = { ...key.properties, releasePolicy: { encodedPolicy: policy } };
  if (factsOf({ ...key, properties })?.kind !== "exportable")
    throw new PpmlError(
      "provision.protected",
      `the key ${name} of ${vault} is no exportable KEK: expected RSA of 3072 bits or more with the operation wrapKey alone; it is ${key.keyType ?? "of no type"} with ${key.keyOperations?.join(", ") ?? "none"}. It was there before, or somebody changed it: look who may change keys in ${vault}, and make a new KEK under another name`,
    );
  if (releasePolicy?.immutable === true) return false;
  await client.updateKeyProperties(name, {
    releasePolicy: { encodedPolicy: policy, immutable: true },
  });
  return true;
}

const OWN_REMEDY =
  "add your object id to azure.operators (az ad signed-in-user show --query id) and apply again; behind private endpoints run this in the network";

/** Tells what who applies lacks inside a Managed HSM, for all KEKs at once: its administrators run it. */
function requireNoneDenied({ section }: Input, denied: readonly Denied[]): void {
  const [first] = denied;
  if (first === undefined) return;
  const asking = /\boid=([0-9a-f-]{36})\b/i.exec(first.failure.message)?.[1]?.toLowerCase();
  const keks = denied.map(({ name }) => name);
  const commands = operatorCommands(section, keks, asking);
  const remedy =
    commands.length === 0
      ? OWN_REMEDY
      : `an administrator of the Managed HSM runs this, then apply again; the role lets you fix the policy, is needed once, and ppml says then how it is taken back:\n  ${commands.join("\n  ")}`;
  throw deniedError(first.failure, { remedy, commands });
}

function deniedError(
  failure: PpmlError,
  detail: { readonly remedy: string; readonly commands?: readonly string[] },
): PpmlError {
  return new PpmlError("azure.denied", failure.message, { cause: failure, detail });
}

function exportableKeks(template: ArmTemplate) {
  return template.resources.flatMap(({ type, name, properties }) => {
    const release = properties["release_policy"];
    const isOfHsm = type === "Microsoft.KeyVault/managedHSMs/keys";
    if (!isOfHsm && type !== "Microsoft.KeyVault/vaults/keys") return [];
    if (typeof release !== "object") return [];
    const data: unknown = Reflect.get(release, "data");
    const [vault = "", key = ""] = name.split("/");
    const host = `${vault}.${isOfHsm ? "managedhsm" : "vault"}.azure.net`;
    return [{ vault, host, isOfHsm, name: key, policy: fromBase64Url(String(data)) }];
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
