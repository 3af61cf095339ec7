/** What Microsoft Azure Attestation says of an SGX enclave. Bytes as the hardware has them. */
export type MaaSgx = {
  readonly attestationType: "sgx";
  /** 32 bytes each. */
  readonly mrEnclave: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly productId: number;
  readonly svn: number;
  readonly debuggable: boolean;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  /** Only of enclaves with Key Separation and Sharing (KSS): 64, 16 and 16 bytes. */
  readonly configId: Uint8Array | null;
  readonly configSvn: number | null;
  readonly isvExtendedProductId: Uint8Array | null;
  readonly isvFamilyId: Uint8Array | null;
  /** Binary runtime data, "enclave held data". */
  readonly enclaveHeldData: Uint8Array | null;
};

/** What MAA says of an SEV-SNP guest: a confidential container's, or a confidential VM's. */
export type MaaSnp = {
  readonly attestationType: "sevsnpvm";
  /** 48 bytes. */
  readonly launchMeasurement: Uint8Array;
  /** 32 bytes. */
  readonly hostData: Uint8Array;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  /** 32 bytes. */
  readonly reportId: Uint8Array;
  /** 16 bytes each. */
  readonly familyId: Uint8Array;
  readonly imageId: Uint8Array;
  /** 48 bytes each. */
  readonly idKeyDigest: Uint8Array;
  readonly authorKeyDigest: Uint8Array;
  readonly guestSvn: number;
  /** 0 to 3. */
  readonly vmpl: number;
  readonly debuggable: boolean;
  readonly migrationAllowed: boolean;
  readonly smtAllowed: boolean;
  readonly tcb: {
    readonly bootloader: number;
    readonly tee: number;
    readonly snp: number;
    readonly microcode: number;
  };
  /** `azure-compliant-uvm` or `azure-compliant-cvm`: only Azure can say so. */
  readonly complianceStatus: string | null;
};

/** What MAA says of a TDX guest. */
export type MaaTdx = {
  readonly attestationType: "tdxvm";
  /** 48 bytes each. */
  readonly mrTd: Uint8Array;
  readonly rtmr: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  readonly mrSeam: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  /** 8 bytes each, least significant byte first. */
  readonly tdAttributes: Uint8Array;
  readonly xfam: Uint8Array;
  /** 16 bytes. */
  readonly teeTcbSvn: Uint8Array;
  readonly debuggable: boolean;
  /** Such as `UpToDate`; null where the token does not say. */
  readonly tcbStatus: string | null;
  readonly complianceStatus: string | null;
};

/** What MAA says of an Azure VM by its vTPM, with the TEE below it. */
export type MaaAzureVm = {
  readonly attestationType: "azurevm";
  readonly isolationTee: MaaSnp | MaaTdx;
  /** The paravisor's runtime data: the vTPM's attestation key. Its digest is the TEE's report data. */
  readonly isolationRuntime: JsonObject | null;
  readonly secureBoot: boolean;
  readonly vmId: string;
  /** `Linux` or `Windows`; null where nobody says. */
  readonly osType: string | null;
  readonly attestedPcrs: readonly number[];
  /** Null where the token does not say, as on Linux. */
  readonly bootDebug: boolean | null;
  readonly kernelDebug: boolean | null;
  readonly hypervisorDebug: boolean | null;
  readonly testSigning: boolean | null;
};

/** A TEE as a token describes it, by its attestation type. */
export type MaaTee = MaaSgx | MaaSnp | MaaTdx | MaaAzureVm;

/** A JSON object as it stood in a token. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * A token of Microsoft Azure Attestation: another Verifier's result, used as Evidence. Only claims
 * that are not deprecated are read, and only these.
 * @see docs/attestation.md section "Microsoft Azure Attestation"
 */
export type MaaEvidence = {
  readonly type: "maa";
  /** The provider's URL, letter by letter as it was pinned. */
  readonly issuer: string;
  /** base64url SHA-256 of the provider's policy. */
  readonly policyHash: string;
  readonly tokenId: string;
  /** Milliseconds since 1970. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** The nonce of the request to MAA; null where there was none. */
  readonly nonce: string | null;
  readonly tee: MaaTee;
  /** JSON runtime data. */
  readonly runtime: JsonObject | null;
};
