import { alignedText, type Cidr, contains, overlaps, parseCidr, parseIpv4 } from "./cidr.ts";
import type { AzureSection } from "./azure-section.ts";
import type { SectionProblem } from "./problem.ts";

/** Smallest network that a cluster's nodes fit into with room for an upgrade, as a prefix length. */
const LONGEST_NODE_PREFIX = 27;

type Range = { readonly path: readonly (string | number)[]; readonly cidr: Cidr };

/**
 * Checks addresses: host bits, subnets inside the network, no overlap of services, pods, subnets and
 * hub, the DNS address inside the services' and not the first of them.
 */
export function checkNetwork(section: AzureSection): readonly SectionProblem[] {
  const problems: SectionProblem[] = [];
  const { network } = section;
  const isOurs = network.existing === undefined;
  const vnet = rangeOf(["network", "cidr"], network.cidr);
  const subnets = neededSubnets(section).map((name) =>
    rangeOf(["network", "subnets", name], network.subnets[name]),
  );
  const hub = (network.hub?.cidrs ?? []).map((text, index) =>
    rangeOf(["network", "hub", "cidrs", index], text),
  );
  const cluster = clusterRanges(section);
  const ranges = [...(isOurs ? [vnet, ...subnets] : []), ...hub, ...cluster];
  for (const { path, cidr } of ranges)
    if (!cidr.isAligned)
      problems.push({ path, message: `expected ${alignedText(cidr)}; came ${cidr.text}` });
  if (isOurs) {
    for (const { path, cidr } of subnets)
      if (!contains(vnet.cidr, cidr))
        problems.push({ path, message: `expected a part of network.cidr ${vnet.cidr.text}` });
    problems.push(...overlapsIn(subnets), ...overlapsBetween(hub, [vnet]));
    problems.push(...overlapsBetween(cluster, [vnet, ...hub]));
  } else problems.push(...overlapsBetween(cluster, hub));
  problems.push(...overlapsIn(cluster), ...checkDns(section), ...checkNodeSubnet(section));
  if (!isOurs && network.hub !== undefined)
    problems.push({
      path: ["network", "hub"],
      message: "an existing network is peered by its owner: remove hub",
    });
  return problems;
}

/** The subnets that something of the section lies in. */
export function neededSubnets(section: AzureSection): readonly ("vm" | "endpoints" | "aks")[] {
  const hasVm = section.vm !== undefined && section.vm.count > 0;
  const hasAks = section.aks !== undefined && section.aks.existing === undefined;
  return [
    ...(hasVm ? (["vm"] as const) : []),
    ...(section.network.privateEndpoints ? (["endpoints"] as const) : []),
    ...(hasAks ? (["aks"] as const) : []),
  ];
}

function clusterRanges({ aks }: AzureSection): readonly Range[] {
  if (aks === undefined || aks.existing !== undefined) return [];
  return [
    rangeOf(["aks", "serviceCidr"], aks.serviceCidr),
    rangeOf(["aks", "podCidr"], aks.podCidr),
  ];
}

function checkDns({ aks }: AzureSection): readonly SectionProblem[] {
  if (aks === undefined || aks.existing !== undefined) return [];
  const services = parseCidr(aks.serviceCidr);
  const address = parseIpv4(aks.dnsServiceIp);
  const path = ["aks", "dnsServiceIp"];
  if (address < services.first || address > services.last)
    return [{ path, message: `expected an address of aks.serviceCidr ${services.text}` }];
  if (address === services.first || address === services.first + 1)
    return [
      {
        path,
        message: `the first addresses of ${services.text} are the network's and the API server's: take the tenth`,
      },
    ];
  if (address === services.last)
    return [{ path, message: `the last address of ${services.text} is its broadcast address` }];
  return [];
}

function checkNodeSubnet(section: AzureSection): readonly SectionProblem[] {
  if (section.network.existing !== undefined || !neededSubnets(section).includes("aks")) return [];
  const { bits, text } = parseCidr(section.network.subnets.aks);
  if (bits <= LONGEST_NODE_PREFIX) return [];
  return [
    {
      path: ["network", "subnets", "aks"],
      message: `expected /${LONGEST_NODE_PREFIX} or larger for the nodes; came ${text}`,
    },
  ];
}

function rangeOf(path: readonly (string | number)[], text: string): Range {
  return { path, cidr: parseCidr(text) };
}

function overlapsIn(ranges: readonly Range[]): readonly SectionProblem[] {
  return ranges.flatMap((range, index) => overlapsBetween([range], ranges.slice(0, index)));
}

function overlapsBetween(
  ranges: readonly Range[],
  others: readonly Range[],
): readonly SectionProblem[] {
  return ranges.flatMap(({ path, cidr }) =>
    others
      .filter((other) => overlaps(cidr, other.cidr))
      .map((other) => ({
        path,
        message: `${cidr.text} overlaps with ${other.path.join(".")} ${other.cidr.text}: choose another range`,
      })),
  );
}
