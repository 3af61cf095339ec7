import { toBase64, utf8 } from "../../../base/index.ts";

/**
 * The distribution's packages of a DCAP host: AESM with its ECDSA plug-ins, the quote library and
 * the provider of collateral.
 */
const SGX_PACKAGES = [
  "sgx-aesm-service",
  "libsgx-aesm-ecdsa-plugin",
  "libsgx-aesm-pce-plugin",
  "libsgx-aesm-quote-ex-plugin",
  "libsgx-dcap-ql",
  "libsgx-dcap-default-qpl",
] as const;

/** Groups of the devices, as systemd's and Intel's rules name them. */
const SGX_RULES = [
  'SUBSYSTEM=="misc", KERNEL=="sgx_enclave", GROUP="sgx", MODE="0660"',
  'SUBSYSTEM=="misc", KERNEL=="sgx_provision", GROUP="sgx_prv", MODE="0660"',
];

/** Collateral comes from Azure's own cache, which every DCsv3 VM reaches. */
const QUOTE_PROVIDER = JSON.stringify({
  pccs_url: "https://global.acccache.azure.net/sgx/certification/v4/",
  use_secure_cert: true,
  collateral_service: "https://api.trustedservices.intel.com/sgx/certification/v4/",
  retry_times: 6,
  retry_delay: 10,
});

/**
 * The cloud-init document of a client VM, base64: updates; for SGX also AESM, DCAP, and the devices'
 * groups with the admin user in them. It has no secret. YAML is written as JSON, which it contains.
 * @see cloudinit.readthedocs.io, modules packages, groups, write_files, runcmd
 */
export function cloudInit(options: {
  readonly isSgx: boolean;
  readonly adminUser: string;
}): string {
  const { isSgx, adminUser } = options;
  const base = {
    package_update: true,
    package_upgrade: true,
    disable_root: true,
    ssh_pwauth: false,
  };
  const sgx = {
    // Groups are made before packages are installed and before udev reads the rules again.
    groups: ["sgx", "sgx_prv"],
    write_files: [
      {
        path: "/etc/udev/rules.d/60-ppml-sgx.rules",
        permissions: "0644",
        content: `${SGX_RULES.join("\n")}\n`,
      },
      { path: "/etc/sgx_default_qcnl.conf", permissions: "0644", content: `${QUOTE_PROVIDER}\n` },
    ],
    packages: SGX_PACKAGES,
    runcmd: [
      ["udevadm", "control", "--reload"],
      ["udevadm", "trigger", "--subsystem-match=misc"],
      ["usermod", "--append", "--groups", "sgx,sgx_prv", adminUser],
      ["systemctl", "enable", "--now", "aesmd"],
    ],
  };
  const document = isSgx ? { ...base, ...sgx } : base;
  const text = `#cloud-config\n${JSON.stringify(document, null, 2)}\n`;
  return toBase64(utf8(text));
}
