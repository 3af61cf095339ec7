export { auditLines } from "./audit.ts";
export { EQUIVOCATION, type LogReport, verifyLog, verifyLogHead } from "./log.ts";
export {
  makeEventReceipt,
  makeReleaseReceipt,
  makeResultReceipt,
  signReceipt,
} from "./make-receipt.ts";
export type { ReceiptCheck, ReceiptReport } from "./report.ts";
export { parseReceiptFile, type ReceiptRoots, verifyReceiptFile } from "./verify-receipt-file.ts";
