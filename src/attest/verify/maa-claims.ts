import { z } from "zod";
import { fromBase64Url, fromHex, PpmlError } from "../../base/index.ts";
import { parseWith } from "../../format/schema.ts";
import { parseTdAttributes } from "../evidence/td-attributes.ts";
import type {
  JsonObject,
  MaaAzureVm,
  MaaSgx,
  MaaSnp,
  MaaTdx,
  MaaTee,
} from "../evidence/maa-evidence.ts";

const TDX_PROFILE = "https://aka.ms/maa-eat-profile-tdxvm";

const uint16 = z.int().min(0).max(0xffff);
const uint32 = z.int().min(0).max(0xffff_ffff);
const text = z.string().max(200);
const objectSchema = z.record(z.string(), z.unknown());

/** Bytes in hex, of exactly this length. */
const hex = (length: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${2 * length}}$`), `expected ${length} bytes in hex`)
    .transform((value) => fromHex(value));

const orNull = <T>(schema: z.ZodType<T>) => schema.optional().transform((value) => value ?? null);

// Loose: a provider's policy can issue claims of any name, which are not read.
const sgxSchema = z
  .looseObject({
    "x-ms-sgx-mrenclave": hex(32),
    "x-ms-sgx-mrsigner": hex(32),
    "x-ms-sgx-product-id": uint16,
    "x-ms-sgx-svn": uint16,
    "x-ms-sgx-is-debuggable": z.boolean(),
    "x-ms-sgx-report-data": hex(64),
    "x-ms-sgx-config-id": orNull(hex(64)),
    "x-ms-sgx-config-svn": orNull(uint16),
    "x-ms-sgx-isv-extended-product-id": orNull(hex(16)),
    "x-ms-sgx-isv-family-id": orNull(hex(16)),
    "x-ms-sgx-ehd": orNull(
      z
        .string()
        .regex(/^[A-Za-z0-9_-]*$/)
        .transform((value) => fromBase64Url(value)),
    ),
  })
  .transform((claims): MaaSgx => ({
    attestationType: "sgx",
    mrEnclave: claims["x-ms-sgx-mrenclave"],
    mrSigner: claims["x-ms-sgx-mrsigner"],
    productId: claims["x-ms-sgx-product-id"],
    svn: claims["x-ms-sgx-svn"],
    debuggable: claims["x-ms-sgx-is-debuggable"],
    reportData: claims["x-ms-sgx-report-data"],
    configId: claims["x-ms-sgx-config-id"],
    configSvn: claims["x-ms-sgx-config-svn"],
    isvExtendedProductId: claims["x-ms-sgx-isv-extended-product-id"],
    isvFamilyId: claims["x-ms-sgx-isv-family-id"],
    enclaveHeldData: claims["x-ms-sgx-ehd"],
  }));

const svn = z.int().min(0).max(0xff);
const snpSchema = z
  .looseObject({
    "x-ms-sevsnpvm-launchmeasurement": hex(48),
    "x-ms-sevsnpvm-hostdata": hex(32),
    "x-ms-sevsnpvm-reportdata": hex(64),
    "x-ms-sevsnpvm-reportid": hex(32),
    "x-ms-sevsnpvm-familyId": hex(16),
    "x-ms-sevsnpvm-imageId": hex(16),
    "x-ms-sevsnpvm-idkeydigest": hex(48),
    "x-ms-sevsnpvm-authorkeydigest": hex(48),
    "x-ms-sevsnpvm-guestsvn": uint32,
    "x-ms-sevsnpvm-vmpl": z.int().min(0).max(3),
    "x-ms-sevsnpvm-is-debuggable": z.boolean(),
    "x-ms-sevsnpvm-migration-allowed": z.boolean(),
    "x-ms-sevsnpvm-smt-allowed": z.boolean(),
    "x-ms-sevsnpvm-bootloader-svn": svn,
    "x-ms-sevsnpvm-tee-svn": svn,
    "x-ms-sevsnpvm-snpfw-svn": svn,
    "x-ms-sevsnpvm-microcode-svn": svn,
    "x-ms-compliance-status": orNull(text),
  })
  .transform((claims): MaaSnp => ({
    attestationType: "sevsnpvm",
    launchMeasurement: claims["x-ms-sevsnpvm-launchmeasurement"],
    hostData: claims["x-ms-sevsnpvm-hostdata"],
    reportData: claims["x-ms-sevsnpvm-reportdata"],
    reportId: claims["x-ms-sevsnpvm-reportid"],
    familyId: claims["x-ms-sevsnpvm-familyId"],
    imageId: claims["x-ms-sevsnpvm-imageId"],
    idKeyDigest: claims["x-ms-sevsnpvm-idkeydigest"],
    authorKeyDigest: claims["x-ms-sevsnpvm-authorkeydigest"],
    guestSvn: claims["x-ms-sevsnpvm-guestsvn"],
    vmpl: claims["x-ms-sevsnpvm-vmpl"],
    debuggable: claims["x-ms-sevsnpvm-is-debuggable"],
    migrationAllowed: claims["x-ms-sevsnpvm-migration-allowed"],
    smtAllowed: claims["x-ms-sevsnpvm-smt-allowed"],
    tcb: {
      bootloader: claims["x-ms-sevsnpvm-bootloader-svn"],
      tee: claims["x-ms-sevsnpvm-tee-svn"],
      snp: claims["x-ms-sevsnpvm-snpfw-svn"],
      microcode: claims["x-ms-sevsnpvm-microcode-svn"],
    },
    complianceStatus: claims["x-ms-compliance-status"],
  }));

const tdxSchema = z
  .looseObject({
    tdx_mrtd: hex(48),
    tdx_rtmr0: hex(48),
    tdx_rtmr1: hex(48),
    tdx_rtmr2: hex(48),
    tdx_rtmr3: hex(48),
    tdx_mrconfigid: hex(48),
    tdx_mrowner: hex(48),
    tdx_mrownerconfig: hex(48),
    tdx_mrseam: hex(48),
    tdx_mrsignerseam: hex(48),
    tdx_report_data: hex(64),
    tdx_td_attributes: hex(8),
    tdx_td_attributes_debug: z.boolean(),
    tdx_xfam: hex(8),
    tdx_tee_tcb_svn: hex(16),
    attester_tcb_status: orNull(text),
    "x-ms-compliance-status": orNull(text),
  })
  // TD attributes bit 0 is DEBUG (Intel TDX module ABI, TD_ATTRIBUTES); two claims must not disagree.
  .refine(
    (claims) => ((claims.tdx_td_attributes[0] ?? 0) & 1) === Number(claims.tdx_td_attributes_debug),
    "tdx_td_attributes and tdx_td_attributes_debug disagree",
  )
  .refine(
    (claims) => parseTdAttributes(claims.tdx_td_attributes).reserved === 0n,
    "tdx_td_attributes has a bit that is reserved: start the TD without it",
  )
  .transform((claims): MaaTdx => ({
    attestationType: "tdxvm",
    mrTd: claims.tdx_mrtd,
    rtmr: [claims.tdx_rtmr0, claims.tdx_rtmr1, claims.tdx_rtmr2, claims.tdx_rtmr3],
    mrConfigId: claims.tdx_mrconfigid,
    mrOwner: claims.tdx_mrowner,
    mrOwnerConfig: claims.tdx_mrownerconfig,
    mrSeam: claims.tdx_mrseam,
    mrSignerSeam: claims.tdx_mrsignerseam,
    reportData: claims.tdx_report_data,
    tdAttributes: claims.tdx_td_attributes,
    xfam: claims.tdx_xfam,
    teeTcbSvn: claims.tdx_tee_tcb_svn,
    debuggable: claims.tdx_td_attributes_debug,
    tcbStatus: claims.attester_tcb_status,
    complianceStatus: claims["x-ms-compliance-status"],
  }));

const azureVmSchema = z.looseObject({
  "x-ms-isolation-tee": z.looseObject({
    "x-ms-attestation-type": z.string().max(40),
    "x-ms-runtime": orNull(objectSchema),
  }),
  secureboot: z.boolean(),
  "x-ms-azurevm-vmid": text,
  "x-ms-azurevm-ostype": text,
  "x-ms-azurevm-attested-pcrs": z.array(z.int().min(0).max(23)).max(24),
  "x-ms-azurevm-bootdebug-enabled": orNull(z.boolean()),
  "x-ms-azurevm-kerneldebug-enabled": orNull(z.boolean()),
  "x-ms-azurevm-hypervisordebug-enabled": orNull(z.boolean()),
  "x-ms-azurevm-testsigning-enabled": orNull(z.boolean()),
});

/**
 * Reads the claims of a token's TEE by its attestation type. Deprecated names (`sgx-mrenclave`,
 * `is-debuggable`, `tee`, `maa-ehd`, ...) are not read: a token that has only these lacks the claim.
 * @throws attest.invalid where a claim is missing or not of its form; attest.unsupported
 * @see learn.microsoft.com/azure/attestation/claim-sets and /trust-domain-extensions-eat-profile
 */
export function readMaaTee(attestationType: string, claims: JsonObject): MaaTee {
  switch (attestationType) {
    case "sgx":
      return read(sgxSchema, claims);
    case "sevsnpvm":
      return read(snpSchema, claims);
    case "tdxvm":
      read(z.looseObject({ eat_profile: z.literal(TDX_PROFILE) }), claims);
      return read(tdxSchema, claims);
    case "azurevm":
      return readAzureVm(claims);
    default:
      throw unsupported(attestationType);
  }
}

function readAzureVm(claims: JsonObject): MaaAzureVm {
  const vm = read(azureVmSchema, claims);
  const isolation = vm["x-ms-isolation-tee"];
  return {
    attestationType: "azurevm",
    isolationTee: readIsolationTee(isolation["x-ms-attestation-type"], isolation),
    isolationRuntime: isolation["x-ms-runtime"],
    secureBoot: vm.secureboot,
    vmId: vm["x-ms-azurevm-vmid"],
    osType: vm["x-ms-azurevm-ostype"],
    attestedPcrs: vm["x-ms-azurevm-attested-pcrs"],
    bootDebug: vm["x-ms-azurevm-bootdebug-enabled"],
    kernelDebug: vm["x-ms-azurevm-kerneldebug-enabled"],
    hypervisorDebug: vm["x-ms-azurevm-hypervisordebug-enabled"],
    testSigning: vm["x-ms-azurevm-testsigning-enabled"],
  };
}

function readIsolationTee(attestationType: string, claims: JsonObject): MaaSnp | MaaTdx {
  switch (attestationType) {
    case "sevsnpvm":
      return read(snpSchema, claims);
    case "tdxvm":
      return read(tdxSchema, claims);
    default:
      throw unsupported(attestationType);
  }
}

function read<T>(schema: z.ZodType<T>, claims: JsonObject): T {
  return parseWith(schema, claims, { what: "the MAA token's claim set", code: "attest.invalid" });
}

function unsupported(attestationType: string): PpmlError {
  return new PpmlError(
    "attest.unsupported",
    `expected an MAA token of type sgx, sevsnpvm, tdxvm or azurevm, got "${attestationType.slice(0, 40)}"`,
  );
}
