import type { Mode } from "../../format/kek.ts";
import { keyNameOf } from "../../key/azure/kek-names.ts";
import type { AzureSection } from "../../provision/index.ts";

/**
 * The section with its KEKs under the names that their keys have in Key Vault: in a simulation another
 * one, so that no simulation takes a production key. @see docs/vault-azure.md
 * @throws key.not_permitted for a production KEK with a simulation's name
 */
export function withKeyNames(section: AzureSection, mode: Mode): AzureSection {
  const { keyVault, identities } = section;
  if (keyVault === undefined) return section;
  const keks = Object.entries(keyVault.keks).map(
    ([name, kek]) => [keyNameOf(mode, name), kek] as const,
  );
  const renamed = Object.entries(identities).map(
    ([name, identity]) =>
      [name, { ...identity, keks: identity.keks.map((kek) => keyNameOf(mode, kek)) }] as const,
  );
  return {
    ...section,
    keyVault: { ...keyVault, keks: Object.fromEntries(keks) },
    identities: Object.fromEntries(renamed),
  };
}
