export { type EnclaveKey, makeEnclaveKey, mrSignerOf } from "./enclave/enclave-key.ts";
export {
  MAX_MADE_CHARACTERS,
  makePassword,
  MIN_MADE_CHARACTERS,
  PASSWORD_CHARACTERS,
} from "./password.ts";
export { checkPassword, faultOf, type PasswordReport, requirePassword } from "./password-check.ts";
export { prepareFolder, publishFolder } from "./publish-folder.ts";
export { fileSink, type SecretName, type SecretSink } from "./secret-sink.ts";
export {
  DEFAULT_DAYS,
  KEYSTORE_ALIAS,
  makeTlsFiles,
  MAX_DAYS,
  PUBLIC_MAX_DAYS,
  TLS_FILES,
  type TlsFiles,
} from "./tls/make-tls-files.ts";
export { parseServerName } from "./tls/server-name.ts";
