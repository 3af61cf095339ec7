/** The TEE that a VM size gives. */
export type VmTee = "snp" | "tdx" | "sgx";

/** What is known of a confidential VM size. */
export type VmSize = {
  readonly name: string;
  readonly tee: VmTee;
  readonly vcpus: number;
  /** Whether AKS takes it for node pools. */
  readonly isForAks: boolean;
  /** First day without new subscriptions, and of the retirement; ISO dates. */
  readonly closesOn?: string;
  readonly retiresOn?: string;
};

/** When this table was made: sizes that came later are not in it. */
export const VM_SIZES_DATE = "2026-11-20";

type Series = {
  readonly family: "DC" | "EC";
  readonly suffix: string;
  readonly version: number;
  readonly tee: VmTee;
  readonly vcpus: readonly number[];
  readonly isForAks?: true;
  readonly closesOn?: string;
  readonly retiresOn?: string;
};

const AMD = [2, 4, 8, 16, 32, 48, 64, 96];
const AMD_MEMORY = [2, 4, 8, 16, 20, 32, 48, 64, 96];
const INTEL = [2, 4, 8, 16, 32, 48, 64, 96];
const INTEL_MEMORY = [2, 4, 8, 16, 32, 48, 64];

/**
 * The series of confidential sizes with their retirements.
 * @see learn.microsoft.com/azure/virtual-machines/sizes: DC and EC families; retired sizes
 */
const SERIES: readonly Series[] = [
  { family: "DC", suffix: "as", version: 5, tee: "snp", vcpus: AMD, isForAks: true },
  { family: "DC", suffix: "ads", version: 5, tee: "snp", vcpus: AMD, isForAks: true },
  { family: "EC", suffix: "as", version: 5, tee: "snp", vcpus: AMD_MEMORY, isForAks: true },
  { family: "EC", suffix: "ads", version: 5, tee: "snp", vcpus: AMD_MEMORY, isForAks: true },
  { family: "DC", suffix: "as", version: 6, tee: "snp", vcpus: AMD, isForAks: true },
  { family: "DC", suffix: "ads", version: 6, tee: "snp", vcpus: AMD, isForAks: true },
  { family: "EC", suffix: "as", version: 6, tee: "snp", vcpus: AMD, isForAks: true },
  { family: "EC", suffix: "ads", version: 6, tee: "snp", vcpus: AMD, isForAks: true },
  { family: "DC", suffix: "es", version: 6, tee: "tdx", vcpus: INTEL },
  { family: "DC", suffix: "eds", version: 6, tee: "tdx", vcpus: INTEL },
  { family: "EC", suffix: "es", version: 6, tee: "tdx", vcpus: INTEL_MEMORY },
  { family: "EC", suffix: "eds", version: 6, tee: "tdx", vcpus: INTEL_MEMORY },
  ...(["s", "ds"] as const).map((suffix): Series => ({
    family: "DC",
    suffix,
    version: 3,
    tee: "sgx",
    vcpus: [1, 2, 4, 8, 16, 24, 32, 48],
    isForAks: true,
    closesOn: "2026-11-01",
    retiresOn: "2029-10-31",
  })),
  {
    family: "DC",
    suffix: "s",
    version: 2,
    tee: "sgx",
    vcpus: [1, 2, 4],
    isForAks: true,
    retiresOn: "2026-06-30",
  },
];

/** Every size of the table, by its name in lower case. */
export const VM_SIZES: ReadonlyMap<string, VmSize> = new Map(
  SERIES.flatMap((series) => {
    const { family, suffix, version, tee, vcpus, isForAks = false, closesOn, retiresOn } = series;
    return vcpus.map((count) => {
      const name = `Standard_${family}${count}${suffix}_v${version}`;
      const size: VmSize = {
        name,
        tee,
        vcpus: count,
        isForAks,
        ...(closesOn === undefined ? {} : { closesOn }),
        ...(retiresOn === undefined ? {} : { retiresOn }),
      };
      return [name.toLowerCase(), size] as const;
    });
  }),
);

/** The size of that name, or undefined where the table does not have it. */
export function vmSizeOf(name: string): VmSize | undefined {
  return VM_SIZES.get(name.toLowerCase());
}

/** The size that a profile's client VM and nodes get where the project file names none. */
export const DEFAULT_SIZES = {
  snp: { vm: "Standard_DC8as_v6", node: "Standard_DC8as_v5" },
  tdx: { vm: "Standard_DC8es_v6", node: "Standard_DC8as_v5" },
  sgx: { vm: "Standard_DC8s_v3", node: "Standard_DC8s_v3" },
} as const satisfies Readonly<Record<VmTee, { readonly vm: string; readonly node: string }>>;

/** The TEE of a profile's nodes: AKS has no TDX. */
export const NODE_TEE = { snp: "snp", tdx: "snp", sgx: "sgx" } as const satisfies Record<
  VmTee,
  VmTee
>;
