import { DEFAULT_SIZES, NODE_TEE, VM_SIZES, VM_SIZES_DATE, vmSizeOf } from "../vm-sizes.ts";
import type { VmSize, VmTee } from "../vm-sizes.ts";
import type { AzureSection } from "./azure-section.ts";
import type { SectionProblem } from "./problem.ts";

/** The guide's rule: more than 4. Half of them go to the engine of a job, half to its services. */
const MIN_VM_VCPUS = 5;
/** Below it a node has no room for a pod in a TEE beside the system's own. */
const MIN_NODE_VCPUS = 4;

/** Checks VM sizes: known, of the profile's TEE, with enough vCPUs, not retired, allowed on AKS. */
export function checkSizes(section: AzureSection): readonly SectionProblem[] {
  const { vm, aks, profile } = section;
  const problems: SectionProblem[] = [];
  if (vm?.size !== undefined && vm.count > 0)
    problems.push(
      ...checkSize(["vm", "size"], {
        name: vm.size,
        tee: profile,
        least: MIN_VM_VCPUS,
        isNode: false,
      }),
    );
  if (aks?.vmSize !== undefined && aks.existing === undefined)
    problems.push(
      ...checkSize(["aks", "vmSize"], {
        name: aks.vmSize,
        tee: NODE_TEE[profile],
        least: MIN_NODE_VCPUS,
        isNode: true,
      }),
    );
  if (aks?.sgxAddon === true && aks.existing === undefined && profile !== "sgx")
    problems.push({
      path: ["aks", "sgxAddon"],
      message: "the SGX device plugin needs nodes with SGX: set profile: sgx, or remove it",
    });
  return problems;
}

/** The size that the client VMs get. */
export function vmSizeFor({ profile, vm }: AzureSection): string {
  return vm?.size ?? DEFAULT_SIZES[profile].vm;
}

/** The size that the confidential nodes get. */
export function nodeSizeFor({ profile, aks }: AzureSection): string {
  return aks?.vmSize ?? DEFAULT_SIZES[profile].node;
}

function checkSize(
  path: readonly string[],
  wanted: {
    readonly name: string;
    readonly tee: VmTee;
    readonly least: number;
    readonly isNode: boolean;
  },
): readonly SectionProblem[] {
  const { name, tee, least, isNode } = wanted;
  const size = vmSizeOf(name);
  const fitting = [...VM_SIZES.values()]
    .filter((one) => one.tee === tee && one.vcpus >= least && !isRetired(one))
    .filter((one) => !isNode || one.isForAks)
    .filter((one) => one.vcpus === 8)
    .map((one) => one.name);
  const instead = `take ${fitting.slice(0, 4).join(", ")} or a larger one`;
  const refuse = (what: string) => [{ path, message: `${what}: ${instead}` }];
  if (size === undefined)
    return refuse(`${name} is no confidential size that the table of ${VM_SIZES_DATE} knows`);
  if (isRetired(size)) return refuse(`${size.name} was retired on ${size.retiresOn ?? ""}`);
  if (size.tee !== tee)
    return refuse(`${size.name} has ${size.tee.toUpperCase()}, and ${tee.toUpperCase()} is wanted`);
  if (isNode && !size.isForAks) return refuse(`${size.name} is not taken by AKS`);
  if (size.vcpus < least)
    return refuse(`expected at least ${least} vCPUs; ${size.name} has ${size.vcpus}`);
  return [];
}

function isRetired({ retiresOn }: VmSize): boolean {
  return retiresOn !== undefined && retiresOn <= VM_SIZES_DATE;
}
