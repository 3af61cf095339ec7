import { isRestError } from "@azure/core-rest-pipeline";
import { z } from "zod";
import { isPpmlError, PpmlError } from "../../base/index.ts";
import type { ErrorCode } from "../../base/index.ts";
import { toAzureFailure } from "../../azure/azure-failure.ts";

/** What was asked of a vault, for the message: "unwrap with the KEK https://..."; never a secret. */
export type Asked = {
  readonly what: string;
  readonly host: string;
  /** The role that all of what is under way takes, where the call that was refused takes a lesser one. */
  readonly role?: string;
};

/** A role that gives an action; `hsm` is empty where Managed HSM has none. */
type Remedy = {
  readonly vault: string;
  readonly hsm: string;
  /** Of a role that opens or gives out KEKs: it is proposed at the KEK, never at the vault. */
  readonly at?: "key";
  /** What the role gives beside the action. */
  readonly beware?: string;
};

const MANAGES =
  "The role opens data too: give it to who manages keys, never to a broker or a workload";

/** The narrowest built-in role that gives each data action, as its last parts name it. */
const ROLES: readonly (readonly [action: RegExp, remedy: Remedy])[] = [
  [
    /keys\/release\/action$/i,
    {
      vault: "Key Vault Crypto Service Release User",
      hsm: "Managed HSM Crypto Service Release User",
      at: "key",
    },
  ],
  [
    /keys\/(?:read|read\/action|deletedKeys\/read\/action)$/i,
    { vault: "Key Vault Reader", hsm: "Managed HSM Crypto Auditor" },
  ],
  [
    /keys\/unwrap\/action$/i,
    {
      vault: "Key Vault Crypto Service Encryption User",
      hsm: "Managed HSM Crypto Service Encryption User",
      at: "key",
      beware:
        "Only a broker's identity may have it: whoever has it opens what is sealed for that KEK, whatever the policies say",
    },
  ],
  [
    /keys\/deletedKeys\//i,
    { vault: "Key Vault Crypto Officer", hsm: "Managed HSM Crypto Officer", beware: MANAGES },
  ],
  [
    /keys\/(?!wrap\/|encrypt\/|decrypt\/)/i,
    { vault: "Key Vault Crypto Officer", hsm: "Managed HSM Crypto User", beware: MANAGES },
  ],
  [/secrets\/(?:getSecret|readMetadata)\/action$/i, { vault: "Key Vault Secrets User", hsm: "" }],
  [/secrets\//i, { vault: "Key Vault Secrets Officer", hsm: "" }],
];

/**
 * An error of Key Vault's SDK as one of ours: which role is missing, what is deleted or disabled, how
 * long to wait. Others go through `toAzureFailure`.
 */
export function toVaultFailure(error: unknown, asked: Asked): Error {
  if (isPpmlError(error) || !isRestError(error)) return toAzureFailure(error, asked);
  const inner = innerCodeOf(error);
  const message = messageOf(error);
  const say = (code: ErrorCode, why: string): PpmlError =>
    new PpmlError(code, `cannot ${asked.what}: ${why}`, {
      cause: error,
      detail: { status: error.statusCode ?? 0, code: inner },
    });
  if (inner === "KeyDisabled" || /not allowed on a disabled key/i.test(message))
    return say("key.disabled", "the key is disabled: `ppml key enable` allows its use again");
  if (inner === "KeyOperationForbidden")
    return say("key.not_permitted", "the key does not have this operation");
  if (inner === "ObjectIsDeletedButRecoverable" || /deleted but recoverable/i.test(message))
    return say(
      "key.exists",
      "the name is taken by one that was deleted and can still be recovered: recover it (az keyvault key recover, or secret recover), choose another name, or wait until Key Vault purges it",
    );
  if (error.statusCode === 403 && /until it is activated/i.test(message))
    return say(
      "azure.denied",
      `the Managed HSM ${asked.host.split(".")[0] ?? ""} is not activated, so it has no keys: \`ppml up\` prints what its administrators run`,
    );
  if (error.statusCode === 403 && /not authorized to perform action/i.test(message))
    return say("azure.denied", missingRole(message, asked));
  if (error.statusCode === 429)
    return say(
      "azure.throttled",
      `the vault's limit of calls is reached, and ${waitOf(error)}: try again later, or give datasets of one project vaults of their own`,
    );
  if (error.statusCode === 404 && error.code === "ResourceNotFound")
    return say("azure.unreachable", noVault(asked));
  if (
    error.statusCode === undefined &&
    /ENOTFOUND|EAI_AGAIN/.test(`${error.code ?? ""} ${message}`)
  )
    return say("azure.unreachable", noVault(asked));
  return toAzureFailure(error, asked);
}

/** The code that Key Vault gives in `innererror`; empty where there is none. */
export function innerCodeOf(error: unknown): string {
  return errorOf(error).innerError?.code ?? "";
}

/** The HTTP status of an SDK's error; 0 for others. */
export function statusOf(error: unknown): number {
  return isRestError(error) ? (error.statusCode ?? 0) : 0;
}

function missingRole(message: string, asked: Asked): string {
  const action = /Action: '([^'\r\n]{1,200})'/.exec(message)?.[1] ?? "";
  const objectId = /oid=([0-9a-f-]{36})/i.exec(message)?.[1] ?? "OBJECT-ID";
  const resource = /Resource: '([^'\r\n]{1,400})'/.exec(message)?.[1] ?? "";
  const isHsm = /managedHsm/i.test(action);
  const remedy = ROLES.find(([pattern]) => pattern.test(action))?.[1];
  const role = asked.role ?? remedy?.[isHsm ? "hsm" : "vault"] ?? "";
  if (role === "") return `the identity ${objectId} may not do ${action}: ask the vault's owner`;
  const lacks = `the identity ${objectId} lacks the role "${role}" (action ${action})`;
  // Azure names a key with or without its version, which is no scope.
  const key = /\/keys\/[^/]+/.exec(resource)?.[0] ?? null;
  const beware = remedy?.beware === undefined ? "" : `. ${remedy.beware}`;
  if (remedy?.at === "key" && key === null)
    return `${lacks}: ask the vault's owner for it at that KEK, not at the vault${beware}`;
  const at = remedy?.at === "key" ? key : "";
  const vault = resource.replace(/\/(?:keys|secrets)\/.*$/, "");
  const command = isHsm
    ? `az keyvault role assignment create --hsm-name ${asked.host.split(".")[0] ?? ""} --role "${role}" --assignee-object-id ${objectId} --scope ${at === "" ? "/keys" : at}`
    : `az role assignment create --role "${role}" --assignee-object-id ${objectId} --scope ${vault}${at}`;
  return `${lacks}: ${command}. A new assignment may take ten minutes to count${beware}`;
}

function noVault({ host }: Asked): string {
  const name = host.split(".")[0] ?? host;
  return `no vault answers at ${host}: check its name and the network. If it was deleted, \`az keyvault list-deleted\` shows it, and \`az keyvault recover --name ${name}\` brings it back with its keys; until it is purged nobody else can take the name`;
}

function waitOf(error: { readonly response?: { readonly headers: HeadersLike } }): string {
  const seconds = error.response?.headers.get("retry-after");
  return seconds === undefined ? "retries did not help" : `it asks to wait ${seconds} s`;
}

type HeadersLike = { readonly get: (name: string) => string | undefined };

const detailsSchema = z.object({
  error: z.object({
    message: z.string().optional(),
    innerError: z.object({ code: z.string().optional() }).optional(),
  }),
});

/** What the SDK kept of an answer's body. */
function errorOf(error: unknown): z.infer<typeof detailsSchema>["error"] {
  if (!isRestError(error)) return {};
  return detailsSchema.safeParse(error.details).data?.error ?? {};
}

function messageOf(error: Error): string {
  return errorOf(error).message ?? error.message;
}
