import { relative, resolve } from "node:path";
import { toHex } from "../../../base/index.ts";
import { fileSink, makeEnclaveKey } from "../../../provision/index.ts";
import { type CommonFlags, commonFlags, defineCommand } from "../../command.ts";
import { forceFlag } from "../../key-file-flags.ts";
import { printable } from "../../output/printable.ts";

type Flags = CommonFlags & { readonly out?: string; readonly force?: boolean };

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
      ...forceFlag,
      ...commonFlags,
    },
  },
  description:
    "RSA-3072 with exponent 3, in PEM (PKCS#1), for gramine-sgx-sign. Whoever has the file can sign\n" +
    "enclaves in your name: policies name what it signs by its MRSIGNER, which is printed.",
  async run(context, flags) {
    const path = resolve(context.cwd, flags.out ?? DEFAULT_OUT);
    using key = await makeEnclaveKey();
    await fileSink({ path, replace: flags.force === true }).put("enclave-key-pem", key.pem);
    const mrSigner = toHex(key.mrSigner);
    const shown = printable(relative(context.cwd, path));
    return {
      data: { path, mrSigner },
      human: () =>
        `Made ${context.style.bold(shown)}.\nMRSIGNER ${mrSigner}\nKeep it out of repositories and images.\n`,
    };
  },
});
