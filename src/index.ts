export { isPpmlError, PpmlError, Secret } from "./base/index.ts";
export type { ByteSource, ErrorCode } from "./base/index.ts";
export { parseKekPublicKey } from "./key/index.ts";
export { acceptManifest, openGrant, openSealedFile, openTable } from "./open/index.ts";
export { parseReceiptFile, verifyLog, verifyReceiptFile } from "./receipt/index.ts";
export { sealDataset, sealFile } from "./seal/index.ts";
export { openStore } from "./store/index.ts";
