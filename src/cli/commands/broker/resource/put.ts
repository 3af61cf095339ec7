import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { PpmlError, Secret } from "../../../../base/index.ts";
import { MAX_RESOURCE_BYTES } from "../../../../format/resource.ts";
import { envelopeDigest, signObject } from "../../../../format/signed-object.ts";
import { sealResource } from "../../../../seal/index.ts";
import { withBroker } from "../../../broker-process.ts";
import { defineCommand } from "../../../command.ts";
import { proposeKekNames } from "../../../kek-names.ts";
import type { CliContext } from "../../../context.ts";
import { resourceArgument, resourceAt } from "../../../resource-argument.ts";
import { vaultFlags } from "../../../vault.ts";
import type { VaultFlags } from "../../../vault.ts";
import { openWorkspace } from "../../../workspace.ts";

type Flags = VaultFlags & { readonly file: string; readonly kek: string };

/** `ppml broker resource put PATH --file F --kek NAME`: seals a file as a resource. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      file: {
        kind: "parsed",
        parse: String,
        brief: "File with the content, 1 byte to 64 KiB",
        placeholder: "FILE",
      },
      kek: {
        kind: "parsed",
        parse: String,
        brief: "KEK to seal it for: give resources one of their own",
        placeholder: "KEK",
        proposeCompletions(this: CliContext) {
          return proposeKekNames(this);
        },
      },
      ...vaultFlags,
    },
    positional: resourceArgument,
  },
  description:
    "The owner signs it, in a version above the one that the broker has. Guests get it where a policy\n" +
    "in force lists the path in `resources` and grants the KEK, and its appraisal accepts them.",
  async run(context, flags, path) {
    using workspace = await openWorkspace(context, flags);
    using content = await readContent(resolve(context.cwd, flags.file));
    const kek = await workspace.kek(flags.kek);
    const put = await withBroker(workspace, async ({ client }) => {
      const version = ((await resourceAt(client, path))?.version ?? 0) + 1;
      const resource = sealResource({ path, version, content, kek });
      const envelope = signObject("resource", resource, workspace.owner);
      await client.putResource(envelope);
      return { path, version, digest: envelopeDigest(envelope), kekId: kek.kekId };
    });
    return {
      data: { resource: put },
      human: () => `Put ${path} as version ${put.version}, sealed for ${flags.kek}.\n`,
    };
  },
});

async function readContent(path: string): Promise<Secret> {
  const bytes = await readBounded(path);
  if (bytes.byteLength >= 1 && bytes.byteLength <= MAX_RESOURCE_BYTES) return Secret.take(bytes);
  bytes.fill(0);
  throw new PpmlError(
    "format.too_large",
    `expected a resource of 1 to ${MAX_RESOURCE_BYTES} bytes in ${path}`,
  );
}

/** At most one byte more than a resource has. */
async function readBounded(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path, "r");
    const bytes = new Uint8Array(MAX_RESOURCE_BYTES + 1);
    const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, 0);
    return bytes.subarray(0, bytesRead);
  } catch (cause) {
    throw new PpmlError("base.io", `${path} cannot be read: name a file that is there`, { cause });
  }
}
