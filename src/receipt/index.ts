export { auditLines } from "./audit.ts";
export { EQUIVOCATION, type LogReport, verifyLog, verifyLogHead } from "./log.ts";
export {
  makeEventReceipt,
  makeReleaseReceipt,
  makeResultReceipt,
  signReceipt,
} from "./make-receipt.ts";
export type { ReceiptCheck, ReceiptReport } from "./report.ts";
export type { ReceiptRoots } from "./receipt-roots.ts";
export { parseReceiptFile, verifyReceiptFile } from "./verify-receipt-file.ts";
