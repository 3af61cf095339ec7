// Makes a project and kills itself at one of its steps: arguments are the folder and the step's number
// from 0.
import { makeStepwise } from "./init-steps.ts";

const [root = "", at = ""] = process.argv.slice(2);
await makeStepwise(root, (_, step) => {
  if (step === Number(at)) process.kill(process.pid, "SIGKILL");
});
