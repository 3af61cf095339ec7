import { ROLES } from "../../../src/provision/azure/roles.ts";
import { changed, type Faulty, roleIdIn } from "./changed-template.ts";
import { HSM_IDENTITIES, sectionOf, templateOf, VARIANTS } from "./sections.ts";

const ASSIGNMENT = "Microsoft.Authorization/roleAssignments";
const HSM_KEY = "Microsoft.KeyVault/managedHSMs/keys";

const hsm = sectionOf(VARIANTS["activatedHsm"]);
const hsmWith = (identities: object) =>
  sectionOf({ ...VARIANTS["activatedHsm"], identities: { ...HSM_IDENTITIES, ...identities } });
const hsmKek = { type: HSM_KEY, has: ['ppml-demo-hsm/input"'], of: hsm };
const hsmDirect = { type: HSM_KEY, has: ["input-direct"], of: hsm };

/** Templates and sections with a Managed HSM and one fault each. */
export const FAULTY_HSM: readonly Faulty[] = [
  ...[["wrapKey", "unwrapKey"], ["wrapKey", "decrypt"], ["unwrapKey"]].map(
    (keyOps) =>
      [
        `T167: an exportable KEK of a Managed HSM with ${keyOps.join(" and ")} is refused`,
        "one-use-of-keks",
        /may not have/,
        changed(hsmDirect, (p) => void (p["keyOps"] = keyOps)),
        hsm,
      ] as const,
  ),
  [
    "T167: an exportable KEK of a Managed HSM without a list of operations is refused",
    "one-use-of-keks",
    /must list/,
    changed(hsmDirect, (p) => void delete p["keyOps"]),
    hsm,
  ],
  [
    "T167: an exportable KEK of a Managed HSM without a release policy is refused",
    "one-use-of-keks",
    /needs a release policy/,
    changed(hsmDirect, (p) => void delete p["release_policy"]),
    hsm,
  ],
  [
    "T167: an unwrap-only KEK of a Managed HSM that decrypts is refused",
    "one-use-of-keks",
    /no decrypt/,
    changed(hsmKek, (p) => void (p["keyOps"] = ["unwrapKey", "decrypt"])),
    hsm,
  ],
  ...["RSA", "EC-HSM", "oct-HSM"].map(
    (kty) =>
      [
        `T167: a KEK of a Managed HSM of the type ${kty} is refused`,
        "strong-keks",
        /RSA-HSM/,
        changed(hsmKek, (p) => void (p["kty"] = kty)),
        hsm,
      ] as const,
  ),
  [
    "T167: a workload with a KEK of the broker's in a Managed HSM is refused",
    "no-unwrap-in-hsm",
    /is for an exportable KEK/,
    templateOf(hsm),
    hsmWith({ spark: { ...HSM_IDENTITIES.spark, keks: ["input"] } }),
  ],
  [
    "T167: a broker that may unwrap with an exportable KEK of a Managed HSM is refused",
    "no-unwrap-in-hsm",
    /must be on an unwrap-only KEK/,
    templateOf(hsm),
    hsmWith({ broker: { ...HSM_IDENTITIES.broker, keks: ["input-direct"] } }),
  ],
  ...[
    "[resourceId('Microsoft.KeyVault/managedHSMs/keys', 'ppml-demo-hsm', 'input')]",
    "Microsoft.KeyVault/managedHSMs/ppml-demo-hsm/keys/input",
  ].map(
    (scope) =>
      [
        `T167: a role of ARM's at ${scope} is refused`,
        "no-arm-roles-in-hsm",
        /gives nothing/,
        changed({ type: ASSIGNMENT, of: hsm }, (_, one) => void (one.scope = scope)),
        hsm,
      ] as const,
  ),
  [
    "T167: an identity that unwraps by a role of ARM's on a Managed HSM's KEK is refused",
    "no-unwrap-for-workloads",
    /no broker's|one unwrap-only KEK/,
    changed({ type: ASSIGNMENT, has: ["'ppml-spark'"], of: hsm }, (p, one) => {
      p["roleDefinitionId"] = roleIdIn(hsm, ROLES.keyVaultEncryptionUser.id);
      one.scope = "[resourceId('Microsoft.KeyVault/managedHSMs/keys', 'ppml-demo-hsm', 'input')]";
    }),
    hsm,
  ],
  [
    "T167: a Managed HSM that can be purged at once is refused",
    "safe-services",
    /enablePurgeProtection/,
    changed({ type: "Microsoft.KeyVault/managedHSMs", of: hsm }, (p) => {
      delete p["enablePurgeProtection"];
    }),
    hsm,
  ],
];
