import { PpmlError } from "../../base/index.ts";
import { isActivated } from "./arm/hsm-grants.ts";
import { literalIdOf, vaultPlace } from "./arm/site.ts";
import type { AzureSection } from "./config/azure-section.ts";

/** Whether a Managed HSM is there and activated, as ARM says it; `unknown` where ARM does not. */
export type HsmState = "absent" | "active" | "not-activated" | "failed" | "unknown";

/** The section's Managed HSM, and whether the project file says that it is activated. */
export type SectionHsm = {
  readonly name: string;
  readonly id: string;
  readonly isActivated: boolean;
};

/** The section's Managed HSM; null where it has none. */
export function hsmOf(section: AzureSection): SectionHsm | null {
  const place = vaultPlace(section);
  const { keyVault } = section;
  if (keyVault === undefined || place?.type !== "Microsoft.KeyVault/managedHSMs") return null;
  const id = literalIdOf(section, place);
  return { name: place.name, id, isActivated: isActivated(keyVault) };
}

/**
 * The commands that activate a Managed HSM, in their order: three key pairs, which three people make,
 * the download of the security domain, and the HSM's leave for ARM to make keys.
 * @see learn.microsoft.com/azure/key-vault/managed-hsm/quick-create-cli, authorize-azure-resource-manager
 */
export function activationCommands(hsm: string): readonly string[] {
  const numbers = [1, 2, 3];
  return [
    ...numbers.map(
      (number) =>
        `openssl req -x509 -newkey rsa:4096 -sha256 -days 3650 -subj /CN=${hsm}-${number} -keyout ${hsm}-${number}.key -out ${hsm}-${number}.cer`,
    ),
    `az keyvault security-domain download --hsm-name ${hsm} --sd-wrapping-keys ${numbers.map((number) => `${hsm}-${number}.cer`).join(" ")} --sd-quorum 2 --security-domain-file ${hsm}-security-domain.json`,
    `az keyvault setting update --hsm-name ${hsm} --name AllowKeyManagementOperationsThroughARM --value true`,
  ];
}

/**
 * Refuses a project file that says of its Managed HSM what is not so: the template would have keys that
 * the HSM does not take. Where ARM does not say, ARM has the last word when the keys are made.
 * @throws provision.not_activated with what to do; azure.not_found for an existing one that is not there
 */
export function demandActivation(section: AzureSection, state: HsmState): void {
  const hsm = hsmOf(section);
  const { keyVault } = section;
  if (hsm === null || keyVault === undefined || !hsm.isActivated) return;
  const { name } = hsm;
  const isMade = keyVault.existing === undefined;
  switch (state) {
    case "active":
    case "unknown":
      return;
    case "absent":
      // One that is brought back is activated still.
      if (isMade && keyVault.recover) return;
      if (!isMade)
        throw new PpmlError(
          "azure.not_found",
          `the Managed HSM ${name} is not there, or not in that group: correct azure.keyVault.existing`,
        );
      throw notActivated(
        `azure.keyVault.activated is true, and the Managed HSM ${name} is not there yet`,
        "take activated out: ppml up makes the HSM, and says then how it is activated. One that was deleted comes back, activated, by recover: true",
      );
    case "not-activated":
    case "failed": {
      const says = isMade ? "azure.keyVault.activated is true" : "azure.keyVault.existing names it";
      const commands = activationCommands(name);
      throw notActivated(
        `the Managed HSM ${name} is not activated (${state}), so it takes no keys, and ${says}`,
        `its administrators run, once:\n  ${commands.join("\n  ")}\nUntil then say activated: false`,
        commands,
      );
    }
  }
}

function notActivated(
  message: string,
  remedy: string,
  commands: readonly string[] = [],
): PpmlError {
  return new PpmlError("provision.not_activated", message, { detail: { remedy, commands } });
}
