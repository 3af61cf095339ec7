// Makes a project and dies at one of its steps: arguments are the folder, the step's number from 0
// (past the last: it ends well), and how to die there. Prints each step's label as it comes.
import { writeSync } from "node:fs";
import { createProject } from "../../src/cli/new-project.ts";
import { peopleTemplate } from "../../src/cli/templates/people.ts";
import { projectHead } from "../../src/cli/templates/template.ts";

const [root = "", at = "", how = ""] = process.argv.slice(2);
// Without KEKs: making RSA keys is most of an init's time, and no step of its own on the disk.
const template = { ...peopleTemplate(3), keks: [] };
let step = 0;
await createProject({
  root,
  projectText: projectHead({ name: "demo", mode: "simulation", root: "file" }) + template.sections,
  template,
  clock: Date.now,
  onStep: (label) => {
    writeSync(1, `${label}\n`);
    if (step++ !== Number(at)) return;
    if (how === "kill") process.kill(process.pid, "SIGKILL");
    throw new Error("failed on purpose");
  },
});
