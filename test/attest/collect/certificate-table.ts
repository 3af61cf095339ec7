import { concatBytes, fromHex } from "../../../src/base/index.ts";

const GUIDS = {
  vcek: "63da758de6644564adc5f4b93be8accd",
  vlek: "a8074bc2a25a483eaae639c045a0b8a1",
  ask: "4ab7b379bbac4fe4a02f05aef327c782",
  ark: "c0b406a4a803495297433fb6014cd0ae",
  unknown: "00112233445566778899aabbccddeeff",
};

/** A host's table of SNP certificates, as GHCB writes it, or with its GUIDs in `order`. */
export function certificateTable(
  certificates: Partial<Record<keyof typeof GUIDS, Uint8Array>>,
  order: readonly number[] = [...Array.from({ length: 16 }).keys()],
): Uint8Array {
  const entries = Object.entries(GUIDS).flatMap(([name, guid]) => {
    const bytes = certificates[name as keyof typeof GUIDS];
    const written = fromHex(guid);
    return bytes === undefined ? [] : [{ guid: order.map((at) => written[at] ?? 0), bytes }];
  });
  let offset = (entries.length + 1) * 24;
  const heads = entries.map(({ guid, bytes }) => {
    const head = new Uint8Array(24);
    head.set(guid);
    new DataView(head.buffer).setUint32(16, offset, true);
    new DataView(head.buffer).setUint32(20, bytes.byteLength, true);
    offset += bytes.byteLength;
    return head;
  });
  return concatBytes(...heads, new Uint8Array(24), ...entries.map(({ bytes }) => bytes));
}
