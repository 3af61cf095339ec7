import { release } from "node:os";
import {
  deviceFiles,
  detectTee,
  type DetectedTee,
  kindOfMissing,
  MACHINE_PATHS,
  type MachineListing,
  type Probed,
  probeMachine,
} from "../../attest/index.ts";
import type { Mode } from "../../format/kek.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";
import { isInstalled } from "./machine.ts";

/** What a machine says of itself besides the places where a TEE shows. */
export type TeeFacts = {
  /** As Node names it: linux, darwin. */
  readonly platform: string;
  /** The kernel's release, such as `6.8.0-45-generic`. */
  readonly release: string;
  /** Ioctls on the guests' devices are made by perl. */
  readonly hasPerl: boolean;
};

/** Looks for this machine's TEE. `mode` is the project's, null where there is none. */
export async function examineTee(
  mode: Mode | null,
): Promise<{ readonly tee: DetectedTee; readonly findings: readonly Finding[] }> {
  const listing = await probeMachine({ paths: MACHINE_PATHS, io: deviceFiles });
  const hasPerl = isInstalled("perl");
  return judgeTee(listing, { platform: process.platform, release: release(), hasPerl }, mode);
}

/**
 * Says which TEE a machine has, and of each way that is not open why not and what opens it. Where one
 * is open, the others are not needed, and no finding warns of them.
 */
export function judgeTee(
  listing: MachineListing,
  facts: TeeFacts,
  mode: Mode | null,
): { readonly tee: DetectedTee; readonly findings: readonly Finding[] } {
  const tee = detectTee(listing);
  if (facts.platform !== "linux") {
    const found = `${facts.platform}: Evidence is collected on Linux only`;
    const findings = [warn("kernel", found, "run production jobs in a TEE with Linux")];
    return { tee, findings: [...findings, verdict(tee, mode)] };
  }
  const isNeeded = tee.way === null;
  const findings = [
    judgeKernel(facts.release, tee),
    judgeWay("gramine", { isNeeded, probed: gramineOf(listing.gramine), remedy: REMEDIES.gramine }),
    judgeWay("configfs-tsm", {
      isNeeded,
      probed: tsmOf(listing.tsm, tee),
      remedy: REMEDIES.tsm,
    }),
    judgeWay("azure-vtpm", { isNeeded, probed: listing.azureVtpm, remedy: REMEDIES.azureVtpm }),
    judgeWay("tdx-guest", { isNeeded, probed: listing.tdxGuest, remedy: REMEDIES.tdxGuest }),
    judgeWay("sev-guest", { isNeeded, probed: listing.sevGuest, remedy: REMEDIES.sevGuest }),
    judgePerl(facts.hasPerl, tee),
    verdict(tee, mode),
  ];
  return { tee, findings };
}

type Remedy = {
  /** Where the place is missing, or holds something else. */
  readonly absent: string;
  readonly forbidden: string;
};

const AS_ROOT = (path: string, group: string): string =>
  `run as root, or let this user in: chgrp ${group} ${path} && chmod g+rw ${path}`;

const REMEDIES = {
  gramine: {
    absent:
      'inside an enclave: start with gramine-sgx, sgx.remote_attestation = "dcap" in the manifest',
    forbidden: "leave /dev/attestation as Gramine makes it: mount nothing over it in the manifest",
  },
  tsm: {
    absent:
      "in a TDX or SEV-SNP guest: Linux 6.7 or newer, mount -t configfs none /sys/kernel/config, then modprobe tdx_guest (TDX) or modprobe sev-guest (SEV-SNP)",
    forbidden: "run as root: configfs lets only root make entries",
  },
  azureVtpm: {
    absent:
      "on an Azure confidential VM (DCasv5, ECasv5, DCesv5 and newer): modprobe tpm_crb; a TPM by itself, a host's or swtpm, is not a TEE: what counts is the hardware's report that it holds",
    forbidden: AS_ROOT("/dev/tpmrm0", "tss"),
  },
  tdxGuest: {
    absent: "in a TDX guest: Linux 6.2 or newer, modprobe tdx_guest",
    forbidden: AS_ROOT("/dev/tdx_guest", "tdx"),
  },
  sevGuest: {
    absent: "in an SEV-SNP guest: Linux 5.19 or newer, modprobe sev-guest",
    forbidden: AS_ROOT("/dev/sev-guest", "sev"),
  },
} as const satisfies Readonly<Record<string, Remedy>>;

function judgeWay(
  check: string,
  way: {
    readonly isNeeded: boolean;
    readonly probed: Probed<unknown>;
    readonly remedy: Remedy;
  },
): Finding {
  const { isNeeded, probed, remedy } = way;
  if (!("missing" in probed)) return ok(check, foundText(probed.found));
  if (!isNeeded) return ok(check, `not needed: ${probed.missing}`);
  const kind = kindOfMissing(probed.missing);
  return warn(check, probed.missing, kind === "forbidden" ? remedy.forbidden : remedy.absent);
}

function foundText(found: unknown): string {
  return typeof found === "string" ? `there: ${found}` : "there";
}

/** An enclave that makes no DCAP quotes gives no Evidence that is verified here. */
function gramineOf(gramine: MachineListing["gramine"]): Probed<string> {
  if ("missing" in gramine || gramine.found === "dcap") return gramine;
  return { missing: `an enclave whose attestation type is ${gramine.found}, not dcap` };
}

/** A provider that is not known gives Evidence that nobody here reads. */
function tsmOf(tsm: MachineListing["tsm"], tee: DetectedTee): Probed<string> {
  if ("missing" in tsm || tee.way === "tsm" || tee.way === "gramine") return tsm;
  return { missing: `its provider ${tsm.found} is neither tdx_guest nor sev_guest` };
}

function judgeKernel(version: string, tee: DetectedTee): Finding {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  const isAtLeast = (first: number, second: number): boolean =>
    major > first || (major === first && minor >= second);
  if (isAtLeast(6, 7)) return ok("kernel", `Linux ${version} knows configfs-tsm`);
  if (tee.way !== null) return ok("kernel", `Linux ${version}`);
  return warn(
    "kernel",
    `Linux ${version} has no configfs-tsm${isAtLeast(6, 2) ? "" : isAtLeast(5, 19) ? ", and no device of TDX guests" : ", and no devices of TDX and SEV-SNP guests"}`,
    "use Linux 6.7 or newer in the guest",
  );
}

function judgePerl(hasPerl: boolean, tee: DetectedTee): Finding {
  const isUsed = tee.way === "tdx-guest" || tee.way === "sev-guest";
  if (hasPerl) return ok("perl", isUsed ? "there: it makes the device's ioctls" : "there");
  if (!isUsed) return ok("perl", "not there; only the guests' devices need it");
  return fail(
    "perl",
    "not there, and the device's ioctls are made by it",
    "install perl (Debian, Ubuntu: apt install perl-base; Alpine: apk add perl), or use Linux 6.7 or newer with configfs-tsm",
  );
}

function verdict(tee: DetectedTee, mode: Mode | null): Finding {
  if (tee.way !== null) return ok("tee", `Evidence of type ${tee.evidenceType}, by ${tee.way}`);
  if (mode === "simulation")
    return warn(
      "tee",
      "none; this project is simulated and needs none",
      "run production jobs in a TEE: docs/attestation.md says which",
    );
  return fail(
    "tee",
    "none: no way to Evidence is open",
    "run on a machine with a TEE (docs/attestation.md), or develop with a project of mode simulation",
  );
}
