import { relative } from "node:path";
import { toHex } from "../../../base/index.ts";
import { makeEnclaveKey } from "../../../provision/index.ts";
import { type CommonFlags, commonFlags, defineCommand } from "../../command.ts";
import { forceFlag } from "../../key-file-flags.ts";
import { printable } from "../../output/printable.ts";
import { secretPlace, type SecretPlaceFlags, vaultSecretFlag } from "../../secret-place.ts";

type Flags = CommonFlags & SecretPlaceFlags;

const DEFAULT_OUT = "enclave-key.pem";

/** `ppml key enclave`: makes the key that signs SGX enclaves. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      out: {
        kind: "parsed",
        parse: String,
        brief: `File for the key, mode 0600 (otherwise: ${DEFAULT_OUT})`,
        placeholder: "FILE",
        optional: true,
      },
      ...vaultSecretFlag,
      ...forceFlag,
      ...commonFlags,
    },
  },
  description:
    "RSA-3072 with exponent 3, in PEM (PKCS#1), for gramine-sgx-sign. Whoever has the file can sign\n" +
    "enclaves in your name: policies name what it signs by its MRSIGNER, which is printed.",
  async run(context, flags) {
    const sink = await secretPlace(context, flags, DEFAULT_OUT);
    using key = await makeEnclaveKey();
    const path = await sink.put("enclave-key-pem", key.pem);
    const mrSigner = toHex(key.mrSigner);
    const shown = printable(flags.vault === true ? path : relative(context.cwd, path));
    return {
      data: { path, mrSigner },
      human: () =>
        `Made ${context.style.bold(shown)}.\nMRSIGNER ${mrSigner}\nKeep it out of repositories and images.\n`,
    };
  },
});
