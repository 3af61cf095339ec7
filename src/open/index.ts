export { encodeHeaderOf } from "../format/sealed-file/header.ts";
export { acceptManifest, checkListing } from "./accept-manifest.ts";
export { checkLength } from "./check-length.ts";
export { checkStored } from "./check-stored.ts";
export {
  type ExpectedFile,
  type OpenedFile,
  type OpenFileOptions,
  openSealedFile,
} from "./open-file.ts";
export { type ExpectedGrant, openGrant, type OpenedGrant } from "./open-grant.ts";
export { openTable, type TableKeyFor } from "./open-table.ts";
