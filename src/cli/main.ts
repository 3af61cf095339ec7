import process from "node:process";

// The entry: it checks Node before anything is loaded that an older one could not load.
const MINIMUM = [22, 18] as const;

// bin/ppml sets it for this process; no process started from here is to inherit it.
delete process.env["NODE_COMPILE_CACHE"];

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < MINIMUM[0] || (major === MINIMUM[0] && minor < MINIMUM[1])) {
  process.stderr.write(
    `error: ppml needs Node.js ${MINIMUM.join(".")} or newer; this is ${process.versions.node}: https://nodejs.org\n`,
  );
  process.exitCode = 1;
} else {
  const { runCli } = await import("./run.ts");
  process.exitCode = await runCli(process.argv.slice(2), process);
}
