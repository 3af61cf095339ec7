import { PpmlError, unreachable } from "../../base/index.ts";
import type { HttpPorts } from "../collateral/http.ts";
import type { Attester } from "./attester.ts";
import { AZURE_HOST, fetchAzureAmdCertificates, fetchTdQuote } from "./azure-imds.ts";
import { openAzureVtpmAttester } from "./azure-vtpm.ts";
import type { DetectedTee } from "./detect.ts";
import type { DeviceIo } from "./device-io.ts";
import { openGramineAttester } from "./gramine.ts";
import type { IoctlRunner } from "./ioctl.ts";
import type { MachinePaths } from "./probe.ts";
import { openSevGuestAttester } from "./sev-guest.ts";
import { openTdxGuestAttester } from "./tdx-guest.ts";
import { openTpmDevice } from "./tpm-channel.ts";
import { openTsmAttester } from "./tsm.ts";

/** What Attesters need of the machine. */
export type AttesterPorts = {
  readonly paths: MachinePaths;
  readonly io: DeviceIo;
  readonly ioctl: IoctlRunner;
  /** Reaches Azure's host, where the way needs it. */
  readonly http: HttpPorts;
};

/**
 * Opens the Attester of the TEE that `detectTee` found.
 * @throws attest.unavailable where it found none, with its reasons
 */
export function openAttester(tee: DetectedTee, ports: AttesterPorts): Attester {
  const { paths, io, ioctl, http } = ports;
  const quoteOf = (tdReport: Uint8Array): Promise<Uint8Array> =>
    fetchTdQuote(http, { host: AZURE_HOST, tdReport });
  switch (tee.way) {
    case "gramine":
      return openGramineAttester({ directory: paths.gramine, io });
    case "tsm":
      return openTsmAttester({
        directory: paths.tsm,
        tee: tee.evidenceType,
        privlevel: null,
        io,
      });
    case "azure-vtpm":
      return openAzureVtpmAttester({
        tee: tee.evidenceType === "az-snp-vtpm" ? "snp" : "tdx",
        tpm: openTpmDevice(paths.tpm),
        fetchCertificates: () => fetchAzureAmdCertificates(http, { host: AZURE_HOST }),
        fetchTdQuote: quoteOf,
      });
    case "tdx-guest":
      return openTdxGuestAttester({ device: paths.tdxGuest, ioctl, quoteOf });
    case "sev-guest":
      return openSevGuestAttester({ device: paths.sevGuest, ioctl, vmpl: 0, certificates: true });
    case null:
      throw new PpmlError(
        "attest.unavailable",
        `this machine shows no TEE. ${tee.reasons.join(" ")}`,
        { detail: { reasons: tee.reasons } },
      );
    default:
      return unreachable(tee);
  }
}
