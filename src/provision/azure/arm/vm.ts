import type { AzureSection } from "../config/azure-section.ts";
import { vmSizeFor } from "../config/check-sizes.ts";
import type { VmConfig } from "../config/compute.ts";
import { cloudInit } from "./cloud-init.ts";
import { idOf } from "./expressions.ts";
import { type ArmObject, type ArmResource, resource } from "./resource.ts";
import {
  dependenciesOn,
  identityPlace,
  literalIdOf,
  nameFor,
  subnetId,
  vnetPlace,
} from "./site.ts";

const UBUNTU = { publisher: "Canonical", offer: "ubuntu-24_04-lts", version: "latest" };

/** The client VMs of the profile, each with its network card, and an address where SSH is open. */
export function vmResources(
  section: AzureSection,
  sshPublicKey: string | null,
): readonly ArmResource[] {
  const { vm } = section;
  if (vm === undefined || vm.count === 0) return [];
  return Array.from({ length: vm.count }, (_, index) => {
    const name = nameFor(section, vm.count === 1 ? "vm" : `vm${index + 1}`);
    const isOpen = vm.sshFrom.length > 0;
    return [
      ...(isOpen ? [address(section, name)] : []),
      card(section, { name, isOpen }),
      machine(section, { name, vm, sshPublicKey: sshPublicKey ?? "" }),
    ];
  }).flat();
}

function address(section: AzureSection, name: string): ArmResource {
  return resource("Microsoft.Network/publicIPAddresses", {
    name: `${name}-ip`,
    location: section.region,
    tags: section.tags,
    sku: { name: "Standard", tier: "Regional" },
    properties: { publicIPAllocationMethod: "Static", publicIPAddressVersion: "IPv4" },
  });
}

function card(
  section: AzureSection,
  options: { readonly name: string; readonly isOpen: boolean },
): ArmResource {
  const { name, isOpen } = options;
  const publicId = idOf("Microsoft.Network/publicIPAddresses", `${name}-ip`);
  return resource("Microsoft.Network/networkInterfaces", {
    name: `${name}-nic`,
    location: section.region,
    tags: section.tags,
    dependsOn: [...dependenciesOn(vnetPlace(section)), ...(isOpen ? [publicId] : [])],
    properties: {
      ipConfigurations: [
        {
          name: "main",
          properties: {
            primary: true,
            privateIPAllocationMethod: "Dynamic",
            subnet: { id: subnetId(section, "vm") },
            ...(isOpen ? { publicIPAddress: { id: publicId } } : {}),
          },
        },
      ],
    },
  });
}

function machine(
  section: AzureSection,
  options: { readonly name: string; readonly vm: VmConfig; readonly sshPublicKey: string },
): ArmResource {
  const { name, vm, sshPublicKey } = options;
  const isSgx = section.profile === "sgx";
  const identity = identityPlace(section, "vm");
  const cardId = idOf("Microsoft.Network/networkInterfaces", `${name}-nic`);
  return resource("Microsoft.Compute/virtualMachines", {
    name,
    location: section.region,
    tags: section.tags,
    identity: {
      type: "UserAssigned",
      userAssignedIdentities: { [literalIdOf(section, identity)]: {} },
    },
    dependsOn: [...dependenciesOn(identity), cardId],
    properties: {
      hardwareProfile: { vmSize: vmSizeFor(section) },
      securityProfile: {
        // SGX protects enclaves, not the machine: it gets a measured boot and no encrypted memory.
        securityType: isSgx ? "TrustedLaunch" : "ConfidentialVM",
        uefiSettings: { secureBootEnabled: true, vTpmEnabled: true },
      },
      storageProfile: {
        imageReference: vm.image ?? { ...UBUNTU, sku: isSgx ? "server" : "cvm" },
        osDisk: { name: `${name}-os`, ...osDisk(vm, isSgx) },
      },
      osProfile: {
        computerName: name,
        adminUsername: vm.adminUser,
        // Extensions run as root: nobody with rights on the machine alone is to add one.
        allowExtensionOperations: false,
        customData: cloudInit({ isSgx, adminUser: vm.adminUser }),
        linuxConfiguration: {
          disablePasswordAuthentication: true,
          ssh: {
            publicKeys: [
              { path: `/home/${vm.adminUser}/.ssh/authorized_keys`, keyData: sshPublicKey },
            ],
          },
        },
      },
      networkProfile: {
        networkInterfaces: [{ id: cardId, properties: { primary: true, deleteOption: "Detach" } }],
      },
      diagnosticsProfile: { bootDiagnostics: { enabled: true } },
    },
  });
}

function osDisk({ diskEncryption }: VmConfig, isSgx: boolean): ArmObject {
  const securityEncryptionType =
    diskEncryption === "disk" ? "DiskWithVMGuestState" : "VMGuestStateOnly";
  return {
    createOption: "FromImage",
    deleteOption: "Delete",
    caching: "ReadWrite",
    managedDisk: {
      storageAccountType: "Premium_LRS",
      ...(isSgx ? {} : { securityProfile: { securityEncryptionType } }),
    },
  };
}
