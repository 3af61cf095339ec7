import { z } from "zod";
import type { TwinPrincipal } from "../service.ts";
import { defineKind } from "../state.ts";
import type { TwinState } from "../state.ts";
import type { Instance } from "./instance.ts";

const HSM = "Microsoft.KeyVault/managedHsm";
const USER_ACTIONS = [
  "read/action",
  "write/action",
  "delete",
  "create",
  "rotate/action",
  "import/action",
  "release/action",
  "backup/action",
  "restore/action",
  "encrypt/action",
  "decrypt/action",
  "wrap/action",
  "unwrap/action",
  "sign/action",
  "verify/action",
].map((action) => `${HSM}/keys/${action}`);

/** A role of Managed HSM's own RBAC: ARM's assignments say nothing inside an HSM. */
export type HsmRole = {
  readonly id: string;
  readonly roleName: string;
  readonly dataActions: readonly string[];
};

const ROLE_MANAGEMENT = ["roleAssignments", "roleDefinitions"].flatMap((what) =>
  ["read", "write", "delete"].map((verb) => `${HSM}/${what}/${verb}/action`),
);

/** @see learn.microsoft.com/azure/key-vault/managed-hsm/built-in-roles */
export const HSM_ROLES: readonly HsmRole[] = [
  {
    id: "a290e904-7015-4bba-90c8-60543313cdb4",
    roleName: "Managed HSM Administrator",
    dataActions: [
      ...ROLE_MANAGEMENT,
      `${HSM}/securitydomain/download/action`,
      `${HSM}/securitydomain/download/read`,
      // Azure's documents name no data action for settings: these names are the double's own.
      `${HSM}/settings/read/action`,
      `${HSM}/settings/write/action`,
    ],
  },
  {
    id: "4bd23610-cdcf-4971-bdee-bdc562cc28e4",
    roleName: "Managed HSM Policy Administrator",
    dataActions: ROLE_MANAGEMENT,
  },
  {
    id: "515eb02d-2335-4d2d-92f2-b1cbdf9c3778",
    roleName: "Managed HSM Crypto Officer",
    dataActions: [
      ...ROLE_MANAGEMENT,
      ...["read/action", "recover/action", "delete"].map(
        (verb) => `${HSM}/keys/deletedKeys/${verb}`,
      ),
      `${HSM}/keys/export/action`,
    ],
  },
  {
    id: "21dbd100-6940-42c2-9190-5d6cb909625b",
    roleName: "Managed HSM Crypto User",
    dataActions: [
      ...USER_ACTIONS,
      `${HSM}/rng/action`,
      `${HSM}/roleDefinitions/read/action`,
      `${HSM}/roleAssignments/read/action`,
    ],
  },
  {
    id: "2c18b078-7c48-4d3a-af88-5a3a1b3f82b3",
    roleName: "Managed HSM Crypto Auditor",
    dataActions: [
      `${HSM}/roleDefinitions/read/action`,
      `${HSM}/roleAssignments/read/action`,
      `${HSM}/keys/read/action`,
      `${HSM}/keys/deletedKeys/read/action`,
    ],
  },
  {
    id: "33413926-3206-4cdd-b39a-83574fe37a17",
    roleName: "Managed HSM Crypto Service Encryption User",
    dataActions: ["read/action", "wrap/action", "unwrap/action"].map(
      (verb) => `${HSM}/keys/${verb}`,
    ),
  },
  {
    id: "21dbd100-6940-42c2-9190-5d6cb909625c",
    roleName: "Managed HSM Crypto Service Release User",
    dataActions: [`${HSM}/keys/release/action`],
  },
];

/** Local role assignments by HOST/NAME. */
export const HSM_ASSIGNMENTS = defineKind(
  "keyvault-hsm-assignment",
  z.strictObject({
    name: z.string(),
    principalId: z.string(),
    /** GUID of the role. */
    role: z.string(),
    /** "/", "/keys" or "/keys/NAME". */
    scope: z.string(),
  }),
);

/** Whether a local assignment, or being one of the first administrators, gives the action. */
export function hsmAllows(
  state: TwinState,
  asked: {
    readonly instance: Instance;
    readonly principal: TwinPrincipal;
    readonly action: string;
    readonly object: string | null;
  },
): boolean {
  const { instance, principal, action, object } = asked;
  const [administrator] = HSM_ROLES;
  if (instance.administrators.includes(principal.objectId))
    if (administrator?.dataActions.includes(action) === true) return true;
  // What is of no single key and still of keys (their list) is at all of them.
  const whole = action.startsWith(`${HSM}/keys/`) ? "/keys" : "/";
  const target = object === null ? whole : `/${object}`;
  return state
    .list(HSM_ASSIGNMENTS, { prefix: `${instance.host}/` })
    .some(({ document: { principalId, role, scope } }) => {
      const isWithin = scope === "/" || target === scope || target.startsWith(`${scope}/`);
      if (principalId !== principal.objectId || !isWithin) return false;
      return HSM_ROLES.find(({ id }) => id === role)?.dataActions.includes(action) === true;
    });
}
