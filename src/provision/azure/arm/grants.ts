import type { AzureSection } from "../config/azure-section.ts";
import type { OperatorConfig } from "../config/services.ts";
import { ROLES, type Role } from "../roles.ts";
import { ownIdentities } from "./identities.ts";
import {
  aksPlace,
  attestationPlace,
  identityPlace,
  type Place,
  registryPlace,
  storagePlace,
  vaultPlace,
  vnetPlace,
} from "./site.ts";

/** Who gets a role: a managed identity of the section, or a person or group. */
export type Grantee =
  | { readonly kind: "identity"; readonly place: Place; readonly name: string }
  | { readonly kind: "operator"; readonly operator: OperatorConfig };

/** A role for somebody on one resource, or on a part of it. */
export type Grant = {
  readonly to: Grantee;
  readonly role: Role;
  /** The resource; its group decides where the assignment is deployed. */
  readonly on: Place;
  /** The part of it, as ARM writes what follows its id; empty for all of it. */
  readonly part: string;
  /** Resources that have to be there first, besides the two. */
  readonly after: readonly string[];
};

/** Every role that the template gives, each on the least part that does. */
export function grantsOf(section: AzureSection): readonly Grant[] {
  return [
    ...controlGrants(section),
    ...nodeGrants(section),
    ...vmGrants(section),
    ...Object.keys(section.identities).flatMap((name) => identityGrants(section, name)),
    ...section.operators.flatMap((operator) => operatorGrants(section, operator)),
  ];
}

/** The cluster manages its subnet and hands its nodes their identity: it needs both to be made. */
export function controlGrants(section: AzureSection): readonly Grant[] {
  if (!ownIdentities(section).includes("aks-control")) return [];
  const control = granteeOf(section, "aks-control");
  const vnet = vnetPlace(section);
  const subnet = `/subnets/${section.network.subnetNames.aks}`;
  return [
    ...(vnet === null
      ? []
      : [grant(control, ROLES.networkContributor, { on: vnet, part: subnet })]),
    grant(control, ROLES.identityOperator, { on: identityPlace(section, "aks-nodes") }),
  ];
}

/** Nodes pull images. */
function nodeGrants(section: AzureSection): readonly Grant[] {
  const registry = registryPlace(section);
  if (registry === null || !ownIdentities(section).includes("aks-nodes")) return [];
  return [grant(granteeOf(section, "aks-nodes"), ROLES.acrPull, { on: registry })];
}

/** The client VM seals, uploads and submits; it reads public keys, and has nothing unwrapped. */
function vmGrants(section: AzureSection): readonly Grant[] {
  if (!ownIdentities(section).includes("vm")) return [];
  const vm = granteeOf(section, "vm");
  const vault = vaultPlace(section);
  const aks = aksPlace(section);
  const namespaces = new Set(Object.values(section.identities).map(({ namespace }) => namespace));
  const isVault = vault?.type === "Microsoft.KeyVault/vaults";
  return [
    ...filesystemGrant(section, vm, ROLES.blobContributor),
    ...(isVault ? [grant(vm, ROLES.keyVaultReader, { on: vault })] : []),
    ...(aks === null
      ? []
      : [
          grant(vm, ROLES.aksClusterUser, { on: aks }),
          ...[...namespaces].map((namespace) =>
            grant(vm, ROLES.aksWriter, { on: aks, part: `/namespaces/${namespace}` }),
          ),
        ]),
  ];
}

function identityGrants(section: AzureSection, name: string): readonly Grant[] {
  const identity = section.identities[name];
  if (identity === undefined) return [];
  const to = granteeOf(section, name);
  const vault = vaultPlace(section);
  const isVault = vault?.type === "Microsoft.KeyVault/vaults";
  const attestation = attestationPlace(section);
  const kekRole =
    identity.role === "broker" ? ROLES.keyVaultEncryptionUser : ROLES.keyVaultReleaseUser;
  const dataRole = identity.data === "write" ? ROLES.blobContributor : ROLES.blobReader;
  return [
    ...(identity.data === "none" ? [] : filesystemGrant(section, to, dataRole)),
    // A Managed HSM has roles of its own, inside it: ARM cannot give them.
    ...(isVault
      ? identity.keks.map((kek) => grant(to, kekRole, { on: vault, part: `/keys/${kek}` }))
      : []),
    ...(attestation === null || identity.role === "broker"
      ? []
      : [grant(to, ROLES.attestationReader, { on: attestation })]),
  ];
}

/**
 * Roles on single secrets. They are no part of the template: ARM gives no role on what is not there
 * yet, and a secret comes into the vault by its own way, never by a template.
 */
export function secretGrants(section: AzureSection): readonly Grant[] {
  const vault = vaultPlace(section);
  if (vault?.type !== "Microsoft.KeyVault/vaults") return [];
  return Object.entries(section.identities).flatMap(([name, { secrets }]) =>
    secrets.map((secret) =>
      grant(granteeOf(section, name), ROLES.keyVaultSecretsUser, {
        on: vault,
        part: `/secrets/${secret}`,
      }),
    ),
  );
}

/** Operators make keys and secrets, set POSIX rights, and manage the cluster. */
function operatorGrants(section: AzureSection, operator: OperatorConfig): readonly Grant[] {
  const to: Grantee = { kind: "operator", operator };
  const vault = vaultPlace(section);
  const aks = aksPlace(section);
  const attestation = attestationPlace(section);
  const isVault = vault?.type === "Microsoft.KeyVault/vaults";
  return [
    ...filesystemGrant(section, to, ROLES.blobOwner),
    ...(isVault
      ? [
          grant(to, ROLES.keyVaultCryptoOfficer, { on: vault }),
          grant(to, ROLES.keyVaultSecretsOfficer, { on: vault }),
        ]
      : []),
    ...(aks === null
      ? []
      : [
          grant(to, ROLES.aksClusterUser, { on: aks }),
          grant(to, ROLES.aksClusterAdmin, { on: aks }),
        ]),
    ...(attestation === null ? [] : [grant(to, ROLES.attestationContributor, { on: attestation })]),
  ];
}

function filesystemGrant(section: AzureSection, to: Grantee, role: Role): readonly Grant[] {
  const account = storagePlace(section);
  const { storage } = section;
  if (account === null || storage === undefined) return [];
  const part = `/blobServices/default/containers/${storage.filesystem}`;
  return [grant(to, role, { on: account, part })];
}

function grant(
  to: Grantee,
  role: Role,
  target: { readonly on: Place; readonly part?: string },
): Grant {
  const { on, part = "" } = target;
  const after = on.isMade && hasResource(part) ? [partId(on, part)] : [];
  return { to, role, on, part, after };
}

/** Parts that the template itself makes: keys and the filesystem; the others come later, or never. */
function hasResource(part: string): boolean {
  return part.startsWith("/keys/") || part.startsWith("/blobServices/");
}

/** The id of a part of a resource of the deployment's own group, as an expression. */
export function partId({ type, name }: Place, part: string): string {
  const words = part.split("/").slice(1);
  const types = words.filter((_, index) => index % 2 === 0);
  const names = words.filter((_, index) => index % 2 === 1);
  const all = [name, ...names].map((one) => `'${one}'`).join(", ");
  return `[resourceId('${[type, ...types].join("/")}', ${all})]`;
}

function granteeOf(section: AzureSection, name: string): Grantee {
  return { kind: "identity", place: identityPlace(section, name), name };
}
