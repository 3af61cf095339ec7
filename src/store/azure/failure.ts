import { isRestError } from "@azure/core-rest-pipeline";
// Not the stage's index: it would load @azure/identity, which a launcher with a token does not need.
import { toAzureFailure } from "../../azure/azure-failure.ts";
import { isPpmlError, PpmlError } from "../../base/index.ts";

/** What was asked of which object, for the message: "read", "write". */
export type Asked = {
  readonly what: string;
  /** The object's name in its store. */
  readonly name: string;
  /** The store's URI. */
  readonly uri: string;
};

const FOLDER_CODES = new Set([
  "InvalidBlobType",
  "OperationNotSupportedOnDirectory",
  "PathConflict",
  "PathAlreadyExists",
  "ResourceTypeMismatch",
  "DirectoryNotEmpty",
  "InvalidResourceType",
]);

/**
 * An error of the SDK in the store's words where the port has one, otherwise in Azure's: who reads it
 * learns what to do. Errors of ours, and of the chunks that were to be written, pass as they are.
 */
export function toStoreFailure(error: unknown, asked: Asked): Error {
  const { name, uri, what } = asked;
  if (isPpmlError(error)) return error;
  if (!(error instanceof Error)) return new PpmlError("store.io", `cannot ${what} "${name}"`);
  const code = serviceCode(error);
  const status = isRestError(error) ? error.statusCode : undefined;
  const detail = { name, store: uri };
  if (code === "ContainerNotFound" || code === "FilesystemNotFound")
    return new PpmlError("azure.not_found", `there is no filesystem at ${uri}`, {
      detail: { ...detail, remedy: `make it with: ppml data mkfs ${filesystemOf(uri)}` },
      cause: error,
    });
  if (code === "BlobAlreadyExists")
    return new PpmlError("store.exists", `the store already has an object "${name}"`, {
      detail,
      cause: error,
    });
  if (FOLDER_CODES.has(code)) return folderError(name, error);
  if (code === "ConditionNotMet" || code === "SourceConditionNotMet") return changed(name, error);
  if (code === "PARSE_ERROR")
    return new PpmlError(
      "store.io",
      `cannot ${what} "${name}" in ${uri}: the storage's answer is not of its form: ${error.message.slice(0, 200)}`,
      { detail, cause: error },
    );
  if (status === 404) return notFound(name, error);
  if (status === 412 && code === "") return changed(name, error);
  return asIoError(error, asked);
}

/** @throws nothing: gives the error of an object that is another version than was read. */
export function changed(name: string, cause?: unknown): PpmlError {
  return new PpmlError(
    "store.conflict",
    `"${name}" is not the version that was read: read it again and repeat`,
    { detail: { name }, cause },
  );
}

export function notFound(name: string, cause?: unknown): PpmlError {
  return new PpmlError("store.not_found", `the store has no object "${name}"`, {
    detail: { name },
    cause,
  });
}

export function folderError(name: string, cause?: unknown): PpmlError {
  return new PpmlError(
    "store.name",
    `"${name}" is a folder, or lies under a file: choose another name`,
    { detail: { name }, cause },
  );
}

/** What the service calls an error: `BlobNotFound`; "" where it said nothing. */
export function serviceCode(error: unknown): string {
  if (!isRestError(error)) return "";
  const header = error.response?.headers.get("x-ms-error-code");
  return header ?? error.code ?? "";
}

function asIoError(error: Error, asked: Asked): Error {
  const { name, uri, what } = asked;
  const failure = toAzureFailure(error, { what: `${what} "${name}" in ${uri}` });
  if (isPpmlError(failure)) return failure;
  const message = `cannot ${what} "${name}" in ${uri}: ${error.message.slice(0, 500)}`;
  return new PpmlError("store.io", message, { detail: { name, store: uri }, cause: error });
}

function filesystemOf(uri: string): string {
  return /^abfss:\/\/[^/]+/.exec(uri)?.[0] ?? uri;
}
