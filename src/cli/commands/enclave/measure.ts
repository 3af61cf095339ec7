import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import { simulatedMark } from "../../output/style.ts";
import { renderFields } from "../../output/table.ts";
import { imageFlag, imageRootOf, measureTee } from "../../tee-image.ts";

type Flags = ProjectFlags & { readonly image?: string };

/** `ppml enclave measure`: what the simulated TEE measures of this installation and project. */
export const command = defineCommand<Flags>({
  parameters: { flags: { ...projectFlags, ...imageFlag } },
  description:
    "The measurement covers Node, the launcher's and worker's code, DuckDB and the pinned release\n" +
    "root. A policy names it; one changed byte gives another one.",
  async run(context, flags) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const measured = await measureTee(imageRootOf(context, flags.image), project);
    return {
      data: { tee: "sim-snp", simulated: true, ...measured },
      human: () =>
        renderFields(
          [
            ["TEE", `sim-snp  ${simulatedMark(context.style)}`],
            ["measurement", measured.measurement],
            ["covers", `${measured.files} files, ${measured.bytes.toLocaleString("en-US")} bytes`],
          ],
          context.style,
        ),
    };
  },
});
