import { relative, resolve } from "node:path";
import { releasePolicyFor } from "../../../release/index.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import type { ProjectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import type { Project } from "../../config/load.ts";
import { directReleasePolicy } from "../../direct-access.ts";
import { simulatedMark } from "../../output/style.ts";
import { renderFields } from "../../output/table.ts";
import { imageFlag, imageRootOf, measureTee } from "../../tee-image.ts";
import { writeJson } from "../../write-json.ts";

type Flags = ProjectFlags & {
  readonly image?: string;
  readonly direct?: boolean;
  readonly releasePolicy?: string;
};

/** `ppml enclave measure`: what the simulated TEE measures of this installation and project. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      ...projectFlags,
      ...imageFlag,
      direct: {
        kind: "boolean",
        brief: "Of the launcher of jobs with release direct",
        optional: true,
        withNegated: false,
      },
      releasePolicy: {
        kind: "parsed",
        parse: String,
        brief: "Write a release policy for exportable KEKs that names it",
        placeholder: "FILE",
        optional: true,
      },
    },
  },
  description:
    "The measurement covers Node, the launcher's and worker's code, DuckDB and the pinned release\n" +
    "root; with --direct, in the root's place, the owner as signer of jobs and what section direct of\n" +
    "ppml.yaml says. A policy names it; one changed byte gives another one.",
  async run(context, flags) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const isDirect = flags.direct === true;
    const way = isDirect ? "direct" : "broker";
    const measured = await measureTee(imageRootOf(context, flags.image), project, way);
    const policy = policyFor(project, { isDirect, measurement: measured.measurement });
    const path =
      flags.releasePolicy === undefined ? null : resolve(context.cwd, flags.releasePolicy);
    if (path !== null) await writeJson(path, policy, { mode: "replace" });
    return {
      data: { tee: "sim-snp", simulated: true, release: way, ...measured, releasePolicy: path },
      human: () =>
        renderFields(
          [
            ["TEE", `sim-snp  ${simulatedMark(context.style)}`],
            ["measurement", measured.measurement],
            ["covers", `${measured.files} files, ${measured.bytes.toLocaleString("en-US")} bytes`],
            ...(path === null
              ? []
              : [
                  ["policy", relative(context.cwd, path)] as const,
                  [
                    "next",
                    `ppml key create NAME --release-policy ${relative(context.cwd, path)}`,
                  ] as const,
                ]),
          ],
          context.style,
        ),
    };
  },
});

function policyFor(
  project: Project,
  of: { readonly isDirect: boolean; readonly measurement: string },
) {
  const measurements = [of.measurement];
  return of.isDirect
    ? directReleasePolicy(project, measurements)
    : releasePolicyFor({ mode: project.config.mode, measurements });
}
