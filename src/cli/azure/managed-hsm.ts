import { z } from "zod";
import type { AzureConnection } from "../../azure/index.ts";
import {
  activationCommands,
  type AzureSection,
  demandActivation,
  type HsmGrant,
  hsmGrants,
  hsmOf,
  hsmRoleCommand,
  hsmRoleEndCommand,
  type HsmState,
} from "../../provision/index.ts";
import { principalIdOf } from "./identity-principal.ts";

const HSM_API = "2026-02-01";

/** What is to be done at a Managed HSM by people: nothing of it is ppml's or ARM's to do. */
export type HsmReport = {
  readonly name: string;
  readonly state: HsmState;
  /** activate: its administrators' turn. say-so: it is activated, and ppml.yaml does not say it. */
  readonly next: "activate" | "say-so" | "roles";
  /** The commands to run, in their order. */
  readonly commands: readonly string[];
  /** The commands that take back roles which nobody needs any more. */
  readonly takeBack: readonly string[];
};

/**
 * Asks ARM for the section's Managed HSM and refuses a project file that says of it what is not so:
 * before anything is planned or changed.
 * @throws provision.not_activated azure.not_found, or what Azure refuses
 */
export async function checkManagedHsm(
  connection: AzureConnection,
  section: AzureSection,
): Promise<void> {
  const hsm = hsmOf(section);
  if (hsm !== null) demandActivation(section, await stateOf(connection, hsm));
}

/**
 * What is left to people at the section's Managed HSM once it is there; null where it has none.
 * @param settledKeks whose release policies were fixed just now: the roles for that are to go
 */
export async function reportManagedHsm(
  connection: AzureConnection,
  section: AzureSection,
  settledKeks: readonly string[],
): Promise<HsmReport | null> {
  const hsm = hsmOf(section);
  if (hsm === null) return null;
  const { name, isActivated } = hsm;
  const state = await stateOf(connection, hsm);
  const report = { name, state, commands: [], takeBack: [] };
  if (!isActivated && state === "active") return { ...report, next: "say-so" };
  if (!isActivated) return { ...report, next: "activate", commands: activationCommands(name) };
  const commands = await roleCommands(connection, section, ({ isOnce }) => !isOnce);
  const takeBack = policyGrants(section, settledKeks).map((grant) =>
    hsmRoleEndCommand(name, grant, grant.to.operator.objectId),
  );
  return { name, state, next: "roles", commands, takeBack };
}

/**
 * The commands that let who applies fix the release policies of these KEKs: every operator, where
 * Azure's refusal does not say which of them `asking` is.
 */
export function operatorCommands(
  section: AzureSection,
  keks: readonly string[],
  asking: string | undefined,
): readonly string[] {
  const { name = "" } = hsmOf(section) ?? {};
  const all = policyGrants(section, keks);
  const own = all.filter(({ to }) => to.operator.objectId === asking);
  return (own.length > 0 ? own : all).map((grant) =>
    hsmRoleCommand(name, grant, grant.to.operator.objectId),
  );
}

type OperatorGrant = HsmGrant & { readonly to: { readonly kind: "operator" } };

/** The grants by which operators fix the release policies of these KEKs. */
function policyGrants(section: AzureSection, keks: readonly string[]): readonly OperatorGrant[] {
  const scopes = new Set(keks.map((kek) => `/keys/${kek}`));
  return hsmGrants(section).filter(
    (grant): grant is OperatorGrant =>
      grant.isOnce && grant.to.kind === "operator" && scopes.has(grant.scope),
  );
}

/** A report as lines for people. */
export function hsmLines(report: HsmReport | null): readonly string[] {
  if (report === null) return [];
  const { name, next, commands, takeBack } = report;
  if (next === "roles" && commands.length === 0) return [];
  const shown = commands.map((line) => `  ${line}`);
  const back = takeBack.map((line) => `  ${line}`);
  const told = {
    activate: {
      before: `The Managed HSM ${name} takes no keys before it is activated, which its administrators do, once. Three people make a key pair each; each keeps the .key file and its passphrase offline, apart from the others. Two of the three bring the HSM back after a disaster, with the security domain's file; without them nobody can, Microsoft neither. The last command lets ARM make and list keys in it:`,
      after: [
        "Then say activated: true in azure.keyVault, and run ppml up again: it makes the KEKs.",
      ],
    },
    "say-so": {
      before: `The Managed HSM ${name} is activated: say activated: true in azure.keyVault, and run ppml up again: it makes the KEKs.`,
      after: [],
    },
    roles: {
      before: `Roles inside the Managed HSM ${name} are not ARM's to give. One of its administrators runs these, once; ppml does not see which of them stand:`,
      after:
        back.length === 0
          ? []
          : [
              "The release policies are fixed, and the role that was needed for it can also give a KEK operations. An administrator takes it back:",
              ...back,
            ],
    },
  }[next];
  return [told.before, ...shown, ...told.after];
}

async function roleCommands(
  connection: AzureConnection,
  section: AzureSection,
  isWanted: (grant: HsmGrant) => boolean,
): Promise<readonly string[]> {
  const { name = "" } = hsmOf(section) ?? {};
  const principals = new Map<string, string>();
  const commands: string[] = [];
  for (const grant of hsmGrants(section).filter((one) => isWanted(one))) {
    const { to } = grant;
    const id = to.kind === "identity" ? to.id : to.operator.objectId;
    const objectId =
      to.kind === "operator" ? id : (principals.get(id) ?? (await principalIdOf(connection, to)));
    principals.set(id, objectId);
    commands.push(hsmRoleCommand(name, grant, objectId));
  }
  return commands;
}

const hsmSchema = z.object({
  properties: z.object({
    provisioningState: z.string().optional(),
    securityDomainProperties: z.object({ activationStatus: z.string().optional() }).nullish(),
  }),
});

/** @see Microsoft.KeyVault/managedHSMs, securityDomainProperties.activationStatus */
async function stateOf(
  connection: AzureConnection,
  { name, id }: { readonly name: string; readonly id: string },
): Promise<HsmState> {
  const { armRequest, toAzureFailure } = await import("../../azure/index.ts");
  const call = { method: "GET", path: id, apiVersion: HSM_API } as const;
  const { status, body } = await armRequest(connection, call).catch((error: unknown) => {
    throw toAzureFailure(error, { what: `look at the Managed HSM ${name}` });
  });
  if (status === 404) return "absent";
  const properties = hsmSchema.safeParse(body).data?.properties;
  const word = properties?.securityDomainProperties?.activationStatus?.toLowerCase();
  const known = STATES.get(word ?? "");
  if (known !== undefined) return known;
  return properties?.provisioningState === "Activated" ? "active" : "unknown";
}

const STATES: ReadonlyMap<string, HsmState> = new Map([
  ["active", "active"],
  ["notactivated", "not-activated"],
  ["failed", "failed"],
]);
