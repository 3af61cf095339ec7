import type { AzureSection } from "./azure-section.ts";
import { checkDirectories } from "./check-directories.ts";
import { checkNetwork } from "./check-network.ts";
import { checkSizes } from "./check-sizes.ts";
import { OWN_IDENTITIES } from "./own-identities.ts";
import { vaultNameSchema } from "./patterns.ts";
import type { SectionProblem } from "./problem.ts";

/**
 * Checks what several members of `azure` say together; `policies` are the names of the file's.
 * Pure: the same section gives the same problems, in the order of the sections.
 */
export function checkAzureSection(
  section: AzureSection,
  policies: readonly string[],
): readonly SectionProblem[] {
  return [
    ...checkNetwork(section),
    ...checkSizes(section),
    ...checkNamesOrExisting(section),
    ...checkKeks(section, policies),
    ...checkHsm(section),
    ...checkIdentities(section),
    ...checkDirectories(section),
    ...checkVm(section),
    ...checkOutbound(section),
  ];
}

function checkNamesOrExisting(section: AzureSection): readonly SectionProblem[] {
  const named = [
    ["storage", "account", section.storage, section.storage?.account],
    ["keyVault", "name", section.keyVault, section.keyVault?.name],
    ["attestation", "name", section.attestation, section.attestation?.name],
    ["registry", "name", section.registry, section.registry?.name],
  ] as const;
  return named.flatMap(([part, key, config, name]) => {
    if (config === undefined || (name === undefined) !== (config.existing === undefined)) return [];
    return [
      {
        path: name === undefined ? [part] : [part, "existing"],
        message: `expected either "${key}" for a new one or "existing" for one that is there`,
      },
    ];
  });
}

function checkKeks(
  { keyVault }: AzureSection,
  policies: readonly string[],
): readonly SectionProblem[] {
  return Object.entries(keyVault?.keks ?? {}).flatMap(([name, { use, policy }]) => {
    const path = ["keyVault", "keks", name];
    if (use === "unwrap-only")
      return policy === undefined
        ? []
        : [
            {
              path: [...path, "policy"],
              message: "an unwrap-only KEK is never released: remove it",
            },
          ];
    if (policy === undefined)
      return [{ path, message: 'an exportable KEK needs "policy": who it is released to' }];
    return policies.includes(policy)
      ? []
      : [{ path: [...path, "policy"], message: `there is no policy "${policy}" in this file` }];
  });
}

/** What a Managed HSM has and a vault has not, and the other way round. */
function checkHsm({ keyVault, identities, operators }: AzureSection): readonly SectionProblem[] {
  if (keyVault === undefined) return [];
  const { sku, activated, existing = "" } = keyVault;
  const isHsm = sku === "managedHsm";
  const isOfOther = isHsm ? /\/vaults\/[^/]+$/i : /\/managedHSMs\/[^/]+$/i;
  // It is part of a host's name, and of commands that people run.
  const hasName = existing === "" || vaultNameSchema.safeParse(existing.split("/").at(-1)).success;
  return [
    ...(hasName
      ? []
      : [
          problem(
            ["keyVault", "existing"],
            "expected an id that ends with a vault's name: 3 to 24 letters, digits or single '-', a letter first, no '-' at the end",
          ),
        ]),
    ...(!isHsm && activated !== undefined
      ? [problem(["keyVault", "activated"], "only a Managed HSM is activated: remove it")]
      : []),
    ...(isOfOther.test(existing)
      ? [
          problem(
            ["keyVault", "sku"],
            isHsm
              ? "existing names a vault: say sku: premium, or the id of a Managed HSM"
              : "existing names a Managed HSM: say sku: managedHsm",
          ),
        ]
      : []),
    ...(isHsm && existing === "" && operators.length === 0
      ? [problem(["operators"], "a Managed HSM needs administrators: name at least one operator")]
      : []),
    ...Object.entries(identities)
      .filter(([, { secrets }]) => isHsm && secrets.length > 0)
      .map(([name]) =>
        problem(["identities", name, "secrets"], "a Managed HSM keeps no secrets: remove them"),
      ),
  ];
}

function problem(path: SectionProblem["path"], message: string): SectionProblem {
  return { path, message };
}

function checkIdentities(section: AzureSection): readonly SectionProblem[] {
  const { identities, keyVault, storage } = section;
  const keks = keyVault?.keks ?? {};
  const subjects = new Map<string, string>();
  return Object.entries(identities).flatMap(([name, identity]) => {
    const problems: SectionProblem[] = [];
    const add = (key: string | number, message: string) =>
      void problems.push({ path: ["identities", name, key], message });
    if (OWN_IDENTITIES.some((own) => own === name))
      problems.push({ path: ["identities", name], message: "this name is taken: choose another" });
    const wanted = identity.role === "broker" ? "unwrap-only" : "exportable";
    for (const kek of identity.keks) {
      const use = Object.hasOwn(keks, kek) ? keks[kek]?.use : undefined;
      if (use === undefined) add("keks", `keyVault.keks has no "${kek}"`);
      else if (use !== wanted)
        add("keks", `a ${identity.role} may have ${wanted} KEKs only; ${kek} is ${use}`);
    }
    if (identity.role === "broker" && identity.data !== "none")
      add("data", "the broker reads and writes no data: remove it");
    if (identity.secrets.length > 0 && keyVault === undefined)
      add("secrets", 'needs a section "keyVault"');
    if (identity.data !== "none" && storage === undefined) add("data", 'needs a section "storage"');
    const subject = `${identity.namespace}/${identity.serviceAccount}`;
    const other = subjects.get(subject);
    if (other !== undefined)
      add("serviceAccount", `identities.${other} has the same service account: give each its own`);
    subjects.set(subject, name);
    return problems;
  });
}

/** The network that is made here has a NAT gateway and no routes of its own. */
function checkOutbound({ aks, network }: AzureSection): readonly SectionProblem[] {
  if (aks?.outbound !== "routeTable" || network.existing !== undefined) return [];
  const message =
    "the network that is made here has no route table: remove it, or name an existing one";
  return [{ path: ["aks", "outbound"], message }];
}

function checkVm({ vm, profile }: AzureSection): readonly SectionProblem[] {
  if (vm === undefined) return [];
  const problems: SectionProblem[] = [];
  if (vm.sshFrom.some((cidr) => cidr.endsWith("/0")))
    problems.push({
      path: ["vm", "sshFrom"],
      message: "port 22 may not be open to the whole internet: name your own networks",
    });
  if (vm.image !== undefined && profile !== "sgx" && !/cvm|confidential/i.test(vm.image.sku))
    problems.push({
      path: ["vm", "image", "sku"],
      message: `a confidential VM needs an image made for it, such as sku cvm; came "${vm.image.sku}"`,
    });
  return problems;
}
