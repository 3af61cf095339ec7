import type { ArmFailure } from "./arm-port.ts";

/** What ARM's codes mean for a person, and what to do. The first that matches is taken. */
const REMEDIES: readonly (readonly [code: RegExp, message: RegExp, remedy: string])[] = [
  [
    /^(?:ConflictError|Conflict|VaultAlreadyExists)$/i,
    /(?:in|a) (?:soft.?)?deleted state|soft.?deleted/i,
    "a deleted vault still has this name: set azure.keyVault.recover: true to bring it back with its keys, or choose another name (purge protection keeps anybody from purging it)",
  ],
  [
    /^VaultAlreadyExists$/i,
    /./,
    "a vault has this name, or one that was deleted keeps it; it may be somebody else's, as names are unique in all of Azure: choose another in azure.keyVault.name. Only where `az keyvault list-deleted` shows it, azure.keyVault.recover: true brings it back with its keys",
  ],
  [
    /^(?:VaultNameNotValid|VaultNameNotAvailable)$/i,
    /./,
    "the vault's name is taken or not allowed: names are unique in all of Azure; choose another in azure.keyVault.name",
  ],
  [
    /^(?:StorageAccountAlreadyTaken|StorageAccountAlreadyExists|StorageAccountInAnotherResourceGroup)$/i,
    /./,
    "the name is taken, perhaps by somebody else: names are unique in all of Azure; choose another in azure.storage.account",
  ],
  [
    /^(?:AlreadyInUse|NameAlreadyExists|NameNotAvailable|NameUnavailable)$/i,
    /./,
    "the name is taken, perhaps by somebody else: names of registries are unique in all of Azure, those of attestation providers in their region; choose another in azure.registry.name or azure.attestation.name",
  ],
  [
    /^(?:QuotaExceeded|OperationNotAllowed|ErrCode_InsufficientVCPUQuota|InsufficientVCPUQuota)$/i,
    /quota|cores|limit/i,
    "the subscription's quota of this family is used up: ask for more (Azure portal, Quotas), take a smaller or another size, or another region; `ppml doctor azure` shows the numbers",
  ],
  [
    /^(?:SkuNotAvailable|ErrCode_SkuNotAvailable|NotAvailableForSubscription|AllocationFailed|ZonalAllocationFailed|OverconstrainedAllocationRequest)$/i,
    /./,
    "the region has not (or has no longer) this size for the subscription: choose another in azure.vm.size, azure.aks.vmSize or azure.region; `ppml doctor azure` lists those that are there",
  ],
  [
    /^(?:LocationNotAvailableForResourceType|NoRegisteredProviderFound|LocationNotSupported|ProvisioningNotSupportedForRegion)$/i,
    /./,
    "the region has no such service: choose another azure.region",
  ],
  [
    /^(?:MissingSubscriptionRegistration)$/i,
    /./,
    "the subscription has not registered this resource provider: az provider register --namespace NAMESPACE, as its owner",
  ],
  [
    /^(?:RoleAssignmentUpdateNotPermitted)$/i,
    /./,
    "a role assignment of this name is held by an identity that was deleted and made again: remove the old one (az role assignment delete --ids ID) and apply again",
  ],
  [
    /./,
    /AllowKeyManagementOperationsThroughARM/,
    "the Managed HSM does not let ARM make keys: one of its administrators runs `az keyvault setting update --hsm-name NAME --name AllowKeyManagementOperationsThroughARM --value true`; then apply again",
  ],
  [
    /./,
    /until it is activated|download the security domain/i,
    "the Managed HSM is not activated: say activated: false in azure.keyVault, and `ppml up` tells its administrators what to run",
  ],
  [
    /^(?:AuthorizationFailed|LinkedAuthorizationFailed|RoleAssignmentRequestDenied|Forbidden)$/i,
    /roleAssignments\/write/i,
    "you may not give roles: ask for Role Based Access Control Administrator on the resource group",
  ],
  [
    /^(?:AuthorizationFailed|LinkedAuthorizationFailed|Forbidden)$/i,
    /./,
    "the login lacks a permission that the message names: ask for it on the resource group (Contributor, and Role Based Access Control Administrator), or log in as somebody else",
  ],
  [
    /^(?:RequestDisallowedByPolicy|RequestDisallowedByAzure)$/i,
    /./,
    "a policy of your organisation forbids it: the message names it; change ppml.yaml to what it allows, or ask its owner for an exemption",
  ],
  [
    /^(?:ParentResourceNotFound|ResourceNotFound)$/i,
    /./,
    "what the message names is not there, or in another group: names and ids in existing: have to be right, and KEKs of a vault in another group are made first, by `ppml key create`",
  ],
  [
    /^(?:PrincipalNotFound)$/i,
    /./,
    "a new identity is not known everywhere yet: apply again in a minute; for azure.operators, check the object id and its kind",
  ],
  [
    /^(?:DeploymentActive|DeploymentStackInNonTerminalState|AnotherOperationInProgress|OperationNotAllowed|ConcurrentUpdateError)$/i,
    /./,
    "another change of the same resource is running: wait for it (`ppml azure status`), then apply again",
  ],
  [
    /^(?:Throttled|TooManyRequests|RetryableError|InternalServerError|ServiceUnavailable|GatewayTimeout|Timeout)$/i,
    /./,
    "Azure was busy or failed for a moment: apply again, what is done stays done",
  ],
];

/** Codes of a failure that only say that something below it failed. */
const WRAPPERS =
  /^(?:DeploymentFailed|InvalidTemplateDeployment|DeploymentStackDeploymentFailed|ResourceDeploymentFailure|MultipleErrorsOccurred|DeploymentStackFailed)$/i;

/** The failures at the bottom, which say what happened. */
export function rootCauses(failure: ArmFailure): readonly ArmFailure[] {
  const inner = failure.details.flatMap((one) => rootCauses(one));
  return inner.length > 0 && (WRAPPERS.test(failure.code) || failure.message === "")
    ? inner
    : [failure];
}

/** What to do about a failure. */
export function remedyFor({ code, message }: ArmFailure): string {
  const found = REMEDIES.find(([codes, texts]) => codes.test(code) && texts.test(message));
  return (
    found?.[2] ??
    "correct what the message says and apply again: what is done stays done, and only the rest is tried"
  );
}
