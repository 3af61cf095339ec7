export { type BackupChanges, MAX_BACKUP_BYTES } from "./embedded/backup.ts";
export {
  createEmbeddedVault,
  EmbeddedVault,
  openEmbeddedVault,
} from "./embedded/embedded-vault.ts";
export { restoreVaultFile } from "./embedded/file.ts";
export { writePrivateFile } from "./private-file.ts";
export {
  exportPublicKey,
  kekThumbprint,
  kekVersionOf,
  MAX_KEK_BITS,
  MIN_KEK_BITS,
  parseKekPublicKey,
  verifyKekPublicKey,
} from "./public-key.ts";
export { createRootKeyFile, loadRootKeyFile, RootKey, type VaultRoot } from "./root-key.ts";
export {
  createSigningKeyFile,
  loadSigningKey,
  signingKeyPassphrase,
  type SigningKeyPurpose,
} from "./signing-key.ts";
export type {
  KekInfo,
  KekRelease,
  KekState,
  KekVersionInfo,
  NewKek,
  UnwrapRequest,
  Vault,
} from "./vault.ts";
export {
  LOCAL_KEY_BYTES,
  LOCAL_KEY_ID_BYTES,
  makeLocalKey,
  toUnwrapRequest,
  wrapLocalKey,
} from "./wrap.ts";
