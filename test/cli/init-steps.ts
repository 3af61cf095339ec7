import { createProject } from "../../src/cli/new-project.ts";
import { peopleTemplate } from "../../src/cli/templates/people.ts";
import { projectHead } from "../../src/cli/templates/template.ts";

/** Makes a project; `onStep` gets each step's label and its number from 0, and may end it there. */
export async function makeStepwise(
  root: string,
  onStep: (label: string, step: number) => void,
): Promise<void> {
  // Without KEKs: making RSA keys is most of an init's time, and no step of its own on the disk.
  const template = { ...peopleTemplate(3), keks: [] };
  const head = projectHead({ name: "demo", mode: "simulation", root: "file" });
  let step = 0;
  await createProject({
    root,
    projectText: head + template.sections,
    template,
    clock: Date.now,
    onStep: (label) => {
      onStep(label, step++);
    },
  });
}
