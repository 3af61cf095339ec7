import { generateKeyPairSync, sign } from "node:crypto";
import type { TpmChannel } from "../../../src/attest/collect/tpm-channel.ts";
import { u16, u32 } from "../../../src/attest/collect/tpm-exchange.ts";
import { concatBytes, fromBase64Url, sha256 } from "../../../src/base/index.ts";
import { hclReportBytes } from "./hcl-bytes.ts";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

function sized(bytes: Uint8Array): Uint8Array {
  return concatBytes(u16(bytes.byteLength), bytes);
}

function u64(value: bigint): Uint8Array {
  return concatBytes(u32(Number(value >> 32n)), u32(Number(value & 0xffffffffn)));
}

/** A vTPM of an Azure confidential VM in memory, with the five commands that are used of one. */
export class FakeTpm implements TpmChannel {
  readonly publicKey = publicKey;
  readonly commands: number[] = [];
  readonly pcrs = Array.from({ length: 24 }, (_, pcr) => sha256(Uint8Array.of(pcr)));
  /** restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth. */
  attributes = 0x00050072;
  nvAttributes = 1 << 17;
  nv: Uint8Array;
  scheme = 0x0014;
  updateCounter = 7;
  /** May answer in the TPM's place; null lets it answer itself. */
  hook: (code: number, command: Uint8Array) => Uint8Array | number | null = () => null;

  constructor(tee: "snp" | "tdx") {
    this.nv = hclReportBytes({ tee, attestationKey: publicKey });
  }

  readonly transmit = async (command: Uint8Array): Promise<Uint8Array> => {
    const view = new DataView(command.buffer, command.byteOffset, command.byteLength);
    const code = view.getUint32(6);
    this.commands.push(code);
    if (view.getUint32(2) !== command.byteLength) return response(0x8001, 0x142, new Uint8Array());
    const hooked = this.hook(code, command);
    if (typeof hooked === "number") return response(0x8001, hooked, new Uint8Array());
    return hooked ?? this.#answer(code, command, view);
  };

  #answer(code: number, command: Uint8Array, view: DataView): Uint8Array {
    const plain = (body: Uint8Array): Uint8Array => response(0x8001, 0, body);
    const session = (body: Uint8Array): Uint8Array =>
      response(
        0x8002,
        0,
        concatBytes(u32(body.byteLength), body, u16(0), Uint8Array.of(0), u16(0)),
      );
    const index = 0x01400001;
    if (code === 0x169) {
      if (view.getUint32(10) !== index) return response(0x8001, 0x18b, new Uint8Array());
      const area = concatBytes(
        u32(index),
        u16(0x0b),
        u32(this.nvAttributes),
        u16(0),
        u16(this.nv.byteLength),
      );
      return plain(concatBytes(sized(area), sized(new Uint8Array(34))));
    }
    if (code === 0x14e) {
      if (view.getUint32(14) !== index) return response(0x8001, 0x28b, new Uint8Array());
      // Behind two handles and 4 + 9 bytes of authorisation.
      const [size, offset] = [view.getUint16(31), view.getUint16(33)];
      return session(sized(this.nv.subarray(offset, offset + size)));
    }
    if (code === 0x173)
      return plain(
        concatBytes(
          sized(this.#publicArea()),
          sized(new Uint8Array(34)),
          sized(new Uint8Array(34)),
        ),
      );
    if (code === 0x17e) {
      const bits = command.subarray(17, 20);
      const wanted = this.pcrs.flatMap((value, pcr) =>
        (((bits[pcr >>> 3] ?? 0) >>> (pcr & 7)) & 1) === 1 ? [{ pcr, value }] : [],
      );
      // Eight at a time, as TPMs do.
      const given = wanted.slice(0, 8);
      const selected = new Uint8Array(3);
      for (const { pcr } of given)
        selected[pcr >>> 3] = (selected[pcr >>> 3] ?? 0) | (1 << (pcr & 7));
      return plain(
        concatBytes(
          u32(this.updateCounter),
          u32(1),
          u16(0x0b),
          Uint8Array.of(3),
          selected,
          u32(given.length),
          ...given.map(({ value }) => sized(value)),
        ),
      );
    }
    if (code !== 0x158) return response(0x8001, 0x143, new Uint8Array());
    // Behind one handle and its authorisation.
    const extraData = command.subarray(29, 29 + view.getUint16(27));
    return session(this.#quote(extraData));
  }

  #publicArea(): Uint8Array {
    const { n } = publicKey.export({ format: "jwk" });
    return concatBytes(
      u16(1),
      u16(0x0b),
      u32(this.attributes),
      u16(0),
      u16(0x10),
      u16(this.scheme),
      u16(0x0b),
      u16(2048),
      u32(0),
      sized(fromBase64Url(n ?? "")),
    );
  }

  #quote(extraData: Uint8Array): Uint8Array {
    const message = concatBytes(
      u32(0xff544347),
      u16(0x8018),
      sized(new Uint8Array(34)),
      sized(extraData),
      u64(1000n),
      u32(1),
      u32(0),
      Uint8Array.of(1),
      u64(1n),
      u32(1),
      u16(0x0b),
      Uint8Array.of(3, 0xff, 0xff, 0xff),
      sized(sha256(...this.pcrs)),
    );
    return concatBytes(
      sized(message),
      u16(this.scheme),
      u16(0x0b),
      sized(new Uint8Array(sign("sha256", message, privateKey))),
    );
  }
}

function response(tag: number, code: number, body: Uint8Array): Uint8Array {
  return concatBytes(u16(tag), u32(10 + body.byteLength), u32(code), body);
}
