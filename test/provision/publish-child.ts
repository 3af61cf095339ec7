// A child of publish-folder.test.ts: replaces one folder again and again until it is killed.
import { Secret, utf8 } from "../../src/base/index.ts";
import { publishFolder } from "../../src/provision/publish-folder.ts";

const [path = ""] = process.argv.slice(2);
process.stdout.write("ready\n");
for (let generation = 0; ; generation += 1) {
  const files = new Map(
    ["a", "b", "c"].map((name) => [name, Secret.take(utf8(`${process.pid} ${generation}`))]),
  );
  await publishFolder({ path, files, ownNames: ["a", "b", "c"], replace: true });
}
