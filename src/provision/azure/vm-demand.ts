import type { AzureSection } from "./config/azure-section.ts";
import { nodeSizeFor, vmSizeFor } from "./config/check-sizes.ts";

/** How many machines of a size a section needs, and what for. */
export type VmDemand = {
  readonly size: string;
  readonly count: number;
  readonly what: "client VM" | "confidential nodes" | "system nodes";
};

/** Every machine that a section makes; none of what is there already. */
export function vmDemand(section: AzureSection): readonly VmDemand[] {
  const { vm, aks } = section;
  const clients: readonly VmDemand[] =
    vm === undefined || vm.count === 0
      ? []
      : [{ size: vmSizeFor(section), count: vm.count, what: "client VM" }];
  if (aks === undefined || aks.existing !== undefined) return clients;
  return [
    ...clients,
    { size: nodeSizeFor(section), count: aks.nodeCount, what: "confidential nodes" },
    { size: aks.systemVmSize, count: aks.systemNodeCount, what: "system nodes" },
  ];
}
