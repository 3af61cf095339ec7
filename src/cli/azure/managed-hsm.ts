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

/** What is left to people at the section's Managed HSM once it is there; null where it has none. */
export async function reportManagedHsm(
  connection: AzureConnection,
  section: AzureSection,
): Promise<HsmReport | null> {
  const hsm = hsmOf(section);
  if (hsm === null) return null;
  const { name, isActivated } = hsm;
  const state = await stateOf(connection, hsm);
  if (!isActivated && state === "active") return { name, state, next: "say-so", commands: [] };
  if (!isActivated) return { name, state, next: "activate", commands: activationCommands(name) };
  const commands = await roleCommands(connection, section, () => true);
  return { name, state, next: "roles", commands };
}

/** The commands that let the operators fix the release policy of this KEK. */
export function operatorCommands(
  connection: AzureConnection,
  section: AzureSection,
  kek: string,
): Promise<readonly string[]> {
  const isFor = ({ to, scope }: HsmGrant): boolean =>
    to.kind === "operator" && scope === `/keys/${kek}`;
  return roleCommands(connection, section, isFor);
}

/** A report as lines for people. */
export function hsmLines(report: HsmReport | null): readonly string[] {
  if (report === null) return [];
  const { name, next, commands } = report;
  if (next === "roles" && commands.length === 0) return [];
  const shown = commands.map((line) => `  ${line}`);
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
      after: [],
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
