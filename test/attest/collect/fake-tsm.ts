import type { DeviceIo } from "../../../src/attest/collect/device-io.ts";
import { utf8 } from "../../../src/base/index.ts";

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the kernel would say`), { code });
}

/** A hook before each call; it may throw, wait, or write as another process would. */
type Hook = (call: {
  readonly verb: string;
  readonly name: string;
  readonly entry: string;
}) => unknown;

/**
 * configfs-tsm as Linux behaves, in memory: entries by mkdir, a generation that rises with every
 * write, an outblob that is made when it is read, attributes that can only be read or written.
 */
export class FakeTsm {
  readonly entries = new Map<
    string,
    { generation: number; inblob: Uint8Array | null; privlevel: string }
  >();
  readonly writes: string[] = [];
  readonly options: {
    readonly provider: string;
    readonly outblobOf: (inblob: Uint8Array, privlevel: string) => Uint8Array;
    readonly auxblob: Uint8Array | null;
    /** The text of privlevel_floor; without one the attribute is not there. */
    readonly privlevelFloor?: string;
  };
  hook: Hook = () => undefined;

  constructor(options: FakeTsm["options"]) {
    this.options = options;
  }

  /** As another process would, through a descriptor of its own. */
  interfere(entry: string, inblob: Uint8Array): void {
    const found = this.#entry(entry);
    found.inblob = inblob;
    found.generation += 1;
  }

  readonly io: DeviceIo = {
    makeDirectory: async (path) => {
      await this.hook({ verb: "mkdir", name: "", entry: path });
      if (!path.startsWith("/tsm/")) throw systemError("ENOENT");
      if (this.entries.has(path)) throw systemError("EEXIST");
      this.entries.set(path, { generation: 0, inblob: null, privlevel: "" });
    },
    removeDirectory: async (path) => {
      await this.hook({ verb: "rmdir", name: "", entry: path });
      if (!this.entries.delete(path)) throw systemError("ENOENT");
    },
    write: async (path, bytes) => {
      const { entry, name } = split(path);
      await this.hook({ verb: "write", name, entry });
      const found = this.#entry(entry);
      if (name === "inblob" && bytes.byteLength <= 64) found.inblob = Uint8Array.from(bytes);
      else if (name === "privlevel" && this.options.provider === "sev_guest")
        found.privlevel = new TextDecoder().decode(bytes);
      else throw systemError(name === "privlevel" ? "ENOENT" : "EACCES");
      found.generation += 1;
      this.writes.push(name);
    },
    read: async (path) => {
      const { entry, name } = split(path);
      await this.hook({ verb: "read", name, entry });
      const found = this.#entry(entry);
      if (name === "generation") return utf8(`${found.generation}\n`);
      if (name === "provider") return utf8(`${this.options.provider}\n`);
      if (name === "auxblob" && this.options.auxblob !== null) return this.options.auxblob;
      if (name === "privlevel_floor" && this.options.privlevelFloor !== undefined)
        return utf8(this.options.privlevelFloor);
      if (name !== "outblob") throw systemError(name === "inblob" ? "EACCES" : "ENOENT");
      if (found.inblob === null) throw systemError("EINVAL");
      // The firmware makes no report for a level that the guest is below.
      if (Number(found.privlevel) < Number.parseInt(this.options.privlevelFloor ?? "0", 10))
        throw systemError("EIO");
      return this.options.outblobOf(found.inblob, found.privlevel);
    },
  };

  #entry(path: string): { generation: number; inblob: Uint8Array | null; privlevel: string } {
    const found = this.entries.get(path);
    if (found === undefined) throw systemError("ENOENT");
    return found;
  }
}

function split(path: string): { readonly entry: string; readonly name: string } {
  const at = path.lastIndexOf("/");
  return { entry: path.slice(0, at), name: path.slice(at + 1) };
}
