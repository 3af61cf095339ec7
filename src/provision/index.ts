export { type EnclaveKey, makeEnclaveKey, mrSignerOf } from "./enclave/enclave-key.ts";
export {
  MAX_MADE_CHARACTERS,
  makePassword,
  MIN_MADE_CHARACTERS,
  PASSWORD_CHARACTERS,
} from "./password.ts";
export { checkPassword, faultOf, type PasswordReport, requirePassword } from "./password-check.ts";
export { prepareFolder, publishFolder } from "./publish-folder.ts";
export { fileSink, type SecretName, type SecretSink } from "./secret-sink.ts";
export {
  DEFAULT_DAYS,
  KEYSTORE_ALIAS,
  makeTlsFiles,
  MAX_DAYS,
  PUBLIC_MAX_DAYS,
  TLS_FILES,
  type TlsFiles,
} from "./tls/make-tls-files.ts";
export { parseServerName } from "./tls/server-name.ts";
export { buildTemplate } from "./azure/arm/build-template.ts";
export type { ArmResource, ArmTemplate } from "./azure/arm/resource.ts";
export { aksId, type TemplateInput } from "./azure/arm/site.ts";
export { type AzureSection, azureSectionSchema } from "./azure/config/azure-section.ts";
export { checkRules, demandRules, RULES } from "./azure/rules/check-rules.ts";
export type { Breach } from "./azure/rules/rule.ts";
export { toTerraform } from "./azure/terraform.ts";
export { vmDemand, type VmDemand } from "./azure/vm-demand.ts";
export { VM_SIZES_DATE, vmSizeOf } from "./azure/vm-sizes.ts";
export { costItems } from "./azure/cost/demand.ts";
export { monthlyCost, parsePriceTable } from "./azure/cost/price-table.ts";
export {
  type HsmGrant,
  hsmGrants,
  hsmRoleCommand,
  hsmRoleEndCommand,
} from "./azure/arm/hsm-grants.ts";
export {
  activationCommands,
  demandActivation,
  hsmOf,
  type HsmState,
} from "./azure/hsm-activation.ts";
export { type SecretRole, secretRoles } from "./azure/arm/role-assignments.ts";
export {
  type DataPlane,
  dataPlaneOf,
  type NamedIdentity,
  type WantedDirectory,
} from "./azure/data-plane.ts";
