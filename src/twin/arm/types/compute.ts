import { z } from "zod";
import { ArmRefusal } from "../refusal.ts";
import { objectAt, textAt } from "../type-spec.ts";
import type { TypeSpec } from "../type-spec.ts";
import {
  armId,
  completeIdentity,
  identityLinks,
  identityShape,
  kept,
  newId,
  vmSize,
} from "./shapes.ts";

const machines: TypeSpec = {
  type: "Microsoft.Compute/virtualMachines",
  apiVersions: ["2026-03-01", "2026-04-01", "2025-04-01", "2024-11-01", "2024-07-01"],
  name: /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?$/,
  isTracked: true,
  isSlow: true,
  top: { identity: identityShape.optional(), zones: z.array(z.string()).optional() },
  properties: z.strictObject({
    hardwareProfile: z.strictObject({ vmSize }),
    securityProfile: z
      .strictObject({
        securityType: z.enum(["TrustedLaunch", "ConfidentialVM", "Standard"]).optional(),
        encryptionAtHost: z.boolean().optional(),
        uefiSettings: z
          .strictObject({
            secureBootEnabled: z.boolean().optional(),
            vTpmEnabled: z.boolean().optional(),
          })
          .optional(),
      })
      .optional(),
    storageProfile: z.strictObject({
      imageReference: z.record(z.string(), z.string()),
      osDisk: z.strictObject({
        name: z.string().optional(),
        createOption: z.enum(["FromImage", "Attach"]),
        deleteOption: z.enum(["Delete", "Detach"]).optional(),
        caching: z.enum(["None", "ReadOnly", "ReadWrite"]).optional(),
        diskSizeGB: z.int().optional(),
        managedDisk: z
          .strictObject({
            storageAccountType: z.string().optional(),
            securityProfile: z
              .strictObject({
                securityEncryptionType: z
                  .enum(["DiskWithVMGuestState", "VMGuestStateOnly", "NonPersistedTPM"])
                  .optional(),
              })
              .optional(),
          })
          .optional(),
      }),
    }),
    osProfile: z.strictObject({
      computerName: z.string().max(64),
      allowExtensionOperations: z.boolean().optional(),
      adminUsername: z.string().max(64),
      customData: z.string().max(87_380).optional(),
      linuxConfiguration: z
        .strictObject({
          disablePasswordAuthentication: z.boolean().optional(),
          ssh: z
            .strictObject({
              publicKeys: z.array(z.strictObject({ path: z.string(), keyData: z.string() })),
            })
            .optional(),
          patchSettings: z.record(z.string(), z.unknown()).optional(),
          provisionVMAgent: z.boolean().optional(),
        })
        .optional(),
    }),
    networkProfile: z.strictObject({
      networkInterfaces: z
        .array(
          z.strictObject({
            id: armId,
            properties: z
              .strictObject({
                primary: z.boolean().optional(),
                deleteOption: z.string().optional(),
              })
              .optional(),
          }),
        )
        .min(1),
    }),
    diagnosticsProfile: z
      .strictObject({ bootDiagnostics: z.strictObject({ enabled: z.boolean() }) })
      .optional(),
  }),
  writeOnly: ["osProfile.customData"],
  check: ({ before, properties }) => {
    const wanted = objectAt(properties, "securityProfile")["securityType"];
    const was = objectAt(before?.properties ?? {}, "securityProfile")["securityType"];
    if (before !== null && wanted !== was)
      throw new ArmRefusal(409, "PropertyChangeNotAllowed", {
        message: "Changing property 'securityProfile.securityType' is not allowed.",
      });
  },
  linked: identityLinks,
  quota: (properties) => [
    { size: textAt(objectAt(properties, "hardwareProfile"), "vmSize"), count: 1 },
  ],
  complete: (input, context) => ({
    top: completeIdentity(input, context),
    properties: {
      ...input.properties,
      vmId: kept(input, "vmId", newId),
      timeCreated: kept(input, "timeCreated", () => new Date(context.clock()).toISOString()),
      provisioningState: "Succeeded",
    },
  }),
};

/** Virtual machines. */
export const COMPUTE_TYPES: readonly TypeSpec[] = [machines];
