export { type BrokerLogger, type CallRecord, createBrokerApp } from "./broker-app.ts";
export type { BrokerState } from "./broker-state.ts";
export {
  acceptBrokerLog,
  type BrokerKind,
  checkBrokerState,
  createBrokerState,
  openBrokerState,
  readBrokerFloors,
} from "./create.ts";
export { BrokerDatabase, type BrokerIdentity } from "./database.ts";
export { type Listener, listenOnSocket } from "./listen.ts";
export { createBrokerLogger, type LogLevel } from "./logger.ts";
export { type CollateralSetting, completeFrom, sentCollateral } from "./collateral.ts";
export { listenOnTls, type TlsListener } from "./listen-tls.ts";
export type { ProcessConfig } from "./process-config.ts";
export { loadTlsIdentity, openTlsIdentity, type TlsIdentity } from "./tls-identity.ts";
export { NONCE_TTL_SECONDS } from "./nonces.ts";
export {
  listenForSecretProvisioning,
  type SecretProvisioning,
  type SecretProvisioningOptions,
} from "./secret-provisioning/listen.ts";
export { encodeGramineKey } from "./secret-provisioning/messages.ts";
