/** The templates of `ppml init`. */
export const TEMPLATE_NAMES = ["quickstart", "people", "azure", "empty"] as const;
export type TemplateName = (typeof TEMPLATE_NAMES)[number];

/** A KEK that a template's datasets name. */
export type TemplateKek = { readonly name: string; readonly purpose: string };

/** What a template puts into a new project, besides what every project has. */
export type Template = {
  /** The vault in Azure that the project names; without it the vault is a file of the project. */
  readonly vaultUrl?: string;
  /** The sections datasets, policies and jobs of ppml.yaml. */
  readonly sections: string;
  /** Text files by path; made with their folders. */
  readonly files: Readonly<Record<string, string>>;
  /** Files to copy by path: absolute source. */
  readonly copies: Readonly<Record<string, string>>;
  readonly keks: readonly TemplateKek[];
  /** What to do next, a line each. */
  readonly next: readonly string[];
};

const ROOT_NOTES = {
  embedded: "whoever has it and the vault, has the keys",
  azure: "encrypts the owner's key and the broker's state",
} as const;

/** The head of ppml.yaml that all templates share. */
export function projectHead(options: {
  readonly name: string;
  readonly mode: "simulation" | "production";
  readonly root: "file" | "passphrase";
  readonly vaultUrl?: string | undefined;
}): string {
  const { name, mode, root, vaultUrl } = options;
  const rootLine =
    root === "file"
      ? `rootKeyFile: .ppml/root.key # ${ROOT_NOTES[vaultUrl === undefined ? "embedded" : "azure"]}`
      : "passphrase: prompt";
  const simulation =
    mode === "simulation"
      ? "\nsimulation:\n  platform: .ppml/sim # the simulated TEE's own PKI\n"
      : "";
  const vault =
    vaultUrl === undefined
      ? "kind: embedded\n  path: .ppml/vault.db"
      : `kind: azure\n  url: ${vaultUrl}`;
  return `# yaml-language-server: $schema=.ppml/ppml.schema.json
# What is sealed, who gets which keys, what may run. Every key: docs/project-file.md.
version: 1
name: ${name}
mode: ${mode}${mode === "simulation" ? " # development: everything says SIMULATED; no hardware protects it" : ""}

vault:
  ${vault}
  ${rootLine}
broker:
  state: .ppml/broker
owner:
  key: .ppml/owner.key
${simulation}`;
}
