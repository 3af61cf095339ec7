export { armList, armRequest, type ArmAnswer, type ArmCall } from "./arm-request.ts";
export { toAzureFailure } from "./azure-failure.ts";
export { type AzureConnection, connectAzure } from "./connection.ts";
export type { OnWait } from "./deadline.ts";
export { type AzureTransport, azureHttpClient } from "./transport.ts";
