import { PpmlError, fromUtf8, readBoundedFile } from "../../base/index.ts";
import { buildTemplate, demandRules } from "../../provision/index.ts";
import type { ArmTemplate, AzureSection } from "../../provision/index.ts";
import { loadProject, type Project } from "../config/load.ts";
import { withKeyNames } from "./key-names.ts";
import { releasePolicyOf } from "./release-policy-of.ts";

const MAX_KEY_BYTES = 16 * 1024;

/** A project that has a section `azure`, and the template of it. */
export type AzureProject = {
  readonly project: Project;
  readonly section: AzureSection;
  readonly template: ArmTemplate;
};

/**
 * Loads the project and its section `azure`.
 * @throws config.missing config.invalid
 */
export async function loadAzureSection(options: {
  readonly cwd: string;
  readonly folder?: string | undefined;
}): Promise<{ readonly project: Project; readonly section: AzureSection }> {
  const project = await loadProject(options);
  const { azure } = project.config;
  if (azure !== undefined) return { project, section: azure };
  throw new PpmlError("config.invalid", `${project.file} has no section "azure"`, {
    detail: { remedy: "add one: docs/azure.md begins with an example" },
  });
}

/**
 * Builds the template from the project: reads the SSH key and the policies of exportable KEKs, and
 * holds it against the rules.
 * @throws config.invalid provision.input provision.rule release.policy
 */
export async function loadAzureProject(options: {
  readonly cwd: string;
  readonly folder?: string | undefined;
}): Promise<AzureProject> {
  const { project, section: written } = await loadAzureSection(options);
  const section = withKeyNames(written, project.config.mode);
  const template = buildTemplate({
    section,
    sshPublicKey: await loadSshKey(project, section),
    releasePolicies: await loadReleasePolicies(project, section),
  });
  demandRules({ template, section });
  return { project, section, template };
}

/** An OpenSSH public key: its type, its base64, perhaps a comment. @see RFC 4253, section 6.6 */
const SSH_KEY =
  /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{40,8192}={0,3}(?: [^\r\n]{0,200})?$/;

async function loadSshKey(project: Project, { vm }: AzureSection): Promise<string | null> {
  if (vm === undefined || vm.count === 0) return null;
  const path = project.resolve(vm.sshPublicKeyFile);
  const bytes = await readBoundedFile(path, {
    what: `the SSH public key ${path}`,
    maxBytes: MAX_KEY_BYTES,
    code: "provision.input",
    remedy: "make one: ssh-keygen -t ed25519, and name its .pub file in azure.vm.sshPublicKeyFile",
  });
  const text = fromUtf8(bytes).trim();
  if (SSH_KEY.test(text)) return text;
  const isPrivate = text.includes("PRIVATE KEY");
  throw new PpmlError(
    "provision.input",
    isPrivate
      ? `${path} is a private key: name its public half, the .pub file`
      : `${path} is no OpenSSH public key of one line (ssh-ed25519, ssh-rsa or ecdsa-sha2-...)`,
  );
}

async function loadReleasePolicies(
  project: Project,
  { keyVault }: AzureSection,
): Promise<Readonly<Record<string, unknown>>> {
  const policies: Record<string, unknown> = {};
  for (const [kek, { use, policy }] of Object.entries(keyVault?.keks ?? {}))
    if (use === "exportable" && policy !== undefined)
      policies[kek] = await releasePolicyOf(project, { kek, policy });
  return policies;
}
