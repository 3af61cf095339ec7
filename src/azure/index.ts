export { toAzureFailure } from "./azure-failure.ts";
export { type AzureConnection, connectAzure } from "./connection.ts";
export { type AzureTransport, azureHttpClient } from "./transport.ts";
