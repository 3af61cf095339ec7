import {
  readAdvisoryIds,
  readHexBytes,
  readList,
  readMembers,
  readOneOf,
  readTime,
  readUnsigned,
} from "./members.ts";
import { parseSignedJson } from "./signed-json.ts";
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
export type QeTcbLevel = {
  readonly tcb: { readonly isvsvn: number };
  readonly tcbDate: number;
  readonly tcbStatus: QeStatus;
  readonly advisoryIDs: readonly string[];
};

const IDS = ["QE", "TD_QE", "QVE"] as const;

/**
 * Parses the JSON of an enclave's identity, version 2 or 3; the levels keep their order, highest
 * first as Intel sends them. Members that are not known are left out. Its signature is not checked.
 * @throws attest.invalid, attest.unsupported
 * @see Intel SGX and TDX PCS API v4, "Enclave Identity V2"
 */
export function parseQeIdentity(json: Uint8Array): QeIdentity {
  const members = parseSignedJson(json, { what: "the QE identity", version: [2, 3] });
  const bytes = (name: string, length: number): Uint8Array =>
    readHexBytes(members[name], length, name);
  return {
    id: readOneOf(members["id"], IDS, "id"),
    version: members["version"] === 2 ? 2 : 3,
    issueDate: readTime(members["issueDate"], "issueDate"),
    nextUpdate: readTime(members["nextUpdate"], "nextUpdate"),
    tcbEvaluationDataNumber: readUnsigned(
      members["tcbEvaluationDataNumber"],
      0xffffffff,
      "tcbEvaluationDataNumber",
    ),
    miscselect: bytes("miscselect", 4),
    miscselectMask: bytes("miscselectMask", 4),
    attributes: bytes("attributes", 16),
    attributesMask: bytes("attributesMask", 16),
    mrsigner: bytes("mrsigner", 32),
    isvprodid: readUnsigned(members["isvprodid"], 0xffff, "isvprodid"),
    tcbLevels: readList(members["tcbLevels"], {
      name: "tcbLevels",
      min: 1,
      max: 100,
      read: readLevel,
    }),
  };
}

function readLevel(value: unknown): QeTcbLevel {
  const level = readMembers(value, "tcbLevels");
  return {
    tcb: { isvsvn: readUnsigned(readMembers(level["tcb"], "tcb")["isvsvn"], 0xffff, "isvsvn") },
    tcbDate: readTime(level["tcbDate"], "tcbDate"),
    tcbStatus: readOneOf(level["tcbStatus"], QE_STATUSES, "tcbStatus"),
    advisoryIDs: readAdvisoryIds(level["advisoryIDs"]),
  };
}
