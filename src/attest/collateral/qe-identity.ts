import { nextEnclaveLevels } from "./levels.ts";
import type { EnclaveTcbLevel } from "./levels.ts";
import type { JsonReader } from "./json-reader.ts";
import { readHexBytes, readOneOf, readTime, readUnsigned, wrongMember } from "./members.ts";
import { readSignedJson } from "./signed-json.ts";
import { QE_STATUSES } from "./tcb-status.ts";
import type { QeStatus } from "./tcb-status.ts";

/** Identity of a Quoting Enclave, version 2; times in milliseconds. @see Intel SGX and TDX PCS API v4, Enclave Identity V2 */
export type QeIdentity = {
  /** Of the Quoting Enclave, of the one for TDX, or of the Quote Verification Enclave. */
  readonly id: (typeof IDS)[number];
  readonly version: 2 | 3;
  readonly issueDate: number;
  readonly nextUpdate: number;
  readonly tcbEvaluationDataNumber: number;
  /** 4 bytes, as its mask. */
  readonly miscselect: Uint8Array;
  readonly miscselectMask: Uint8Array;
  /** 16 bytes, as its mask. */
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  /** 32 bytes. */
  readonly mrsigner: Uint8Array;
  readonly isvprodid: number;
  readonly tcbLevels: readonly QeTcbLevel[];
};

/** What a Quoting Enclave has to reach for a level. */
export type QeTcbLevel = EnclaveTcbLevel<QeStatus>;

const IDS = ["QE", "TD_QE", "QVE"] as const;
const LEVELS = { statuses: QE_STATUSES, maxIsvSvn: 0xffff };

/**
 * Parses the JSON of an enclave's identity, version 2 or 3; the levels keep their order, highest
 * first as Intel sends them. Members that are not known are left out. Its signature is not checked.
 * @throws attest.invalid, attest.unsupported
 * @see Intel SGX and TDX PCS API v4, "Enclave Identity V2"
 */
export function parseQeIdentity(json: Uint8Array): QeIdentity {
  const read = new Statement();
  const version = readSignedJson(json, {
    what: "the QE identity",
    version: [2, 3],
    read: (at) => {
      readMember(at, read);
    },
  });
  if (read.tcbLevels === undefined) throw wrongMember("tcbLevels", "a list of 1 to 100");
  return {
    id: readOneOf(read.id, IDS, "id"),
    version: version === 2 ? 2 : 3,
    issueDate: readTime(read.issueDate, "issueDate"),
    nextUpdate: readTime(read.nextUpdate, "nextUpdate"),
    tcbEvaluationDataNumber: readUnsigned(
      read.tcbEvaluationDataNumber,
      0xffffffff,
      "tcbEvaluationDataNumber",
    ),
    miscselect: readHexBytes(read.miscselect, 4, "miscselect"),
    miscselectMask: readHexBytes(read.miscselectMask, 4, "miscselectMask"),
    attributes: readHexBytes(read.attributes, 16, "attributes"),
    attributesMask: readHexBytes(read.attributesMask, 16, "attributesMask"),
    mrsigner: readHexBytes(read.mrsigner, 32, "mrsigner"),
    isvprodid: readUnsigned(read.isvprodid, 0xffff, "isvprodid"),
    tcbLevels: read.tcbLevels,
  };
}

/** The members as they stand there; the levels are read already. */
class Statement {
  id: unknown;
  issueDate: unknown;
  nextUpdate: unknown;
  tcbEvaluationDataNumber: unknown;
  miscselect: unknown;
  miscselectMask: unknown;
  attributes: unknown;
  attributesMask: unknown;
  mrsigner: unknown;
  isvprodid: unknown;
  tcbLevels: readonly QeTcbLevel[] | undefined;
}

function readMember(json: JsonReader, read: Statement): void {
  if (json.isNamed("id")) read.id = json.value();
  else if (json.isNamed("issueDate")) read.issueDate = json.value();
  else if (json.isNamed("nextUpdate")) read.nextUpdate = json.value();
  else if (json.isNamed("tcbEvaluationDataNumber"))
    read.tcbEvaluationDataNumber = json.valueInDigits();
  else if (json.isNamed("miscselect")) read.miscselect = json.value();
  else if (json.isNamed("miscselectMask")) read.miscselectMask = json.value();
  else if (json.isNamed("attributes")) read.attributes = json.value();
  else if (json.isNamed("attributesMask")) read.attributesMask = json.value();
  else if (json.isNamed("mrsigner")) read.mrsigner = json.value();
  else if (json.isNamed("isvprodid")) read.isvprodid = json.valueInDigits();
  else if (json.isNamed("tcbLevels")) read.tcbLevels = nextEnclaveLevels(json, LEVELS);
  else json.skip();
}
