import type { Duplex } from "node:stream";
import { z } from "zod";
import { fromBase64Url } from "../../base/index.ts";
import type { SimulatedPlatform } from "../../attest/index.ts";

/** Longest request in bytes; a good one has about 110. */
const MAX_REQUEST_BYTES = 4096;
/** A TEE attests a few times; one that asks without end is cut off. */
const MAX_REQUESTS = 1000;

const requestSchema = z.strictObject({ reportData: z.string().regex(/^[A-Za-z0-9_-]{86}$/) });

/**
 * Answers a TEE's requests for Evidence, one JSON line each. The report data comes from the TEE;
 * the measurement is the platform's own and stands in no request. What is not a request is answered
 * with an error; a line without end, or too many requests, close the channel.
 * @see docs/attestation.md section "The simulated platform's channel"
 */
export function serveAttestation(options: {
  readonly channel: Duplex;
  readonly platform: SimulatedPlatform;
  /** 48 bytes. */
  readonly measurement: Uint8Array;
}): void {
  const { channel, platform, measurement } = options;
  let buffered = Buffer.alloc(0);
  let requests = 0;
  // The TEE may end at any time; what it did not read is nobody's loss.
  channel.on("error", () => channel.destroy());
  channel.on("data", (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    for (let end = buffered.indexOf(0x0a); end !== -1; end = buffered.indexOf(0x0a)) {
      const line = buffered.toString("utf8", 0, end);
      buffered = buffered.subarray(end + 1);
      requests += 1;
      if (end > MAX_REQUEST_BYTES || requests > MAX_REQUESTS) {
        channel.destroy();
        return;
      }
      channel.write(`${JSON.stringify(answer(line, platform, measurement))}\n`);
    }
    if (buffered.byteLength > MAX_REQUEST_BYTES) channel.destroy();
  });
}

function answer(line: string, platform: SimulatedPlatform, measurement: Uint8Array): unknown {
  try {
    const { reportData } = requestSchema.parse(JSON.parse(line));
    return {
      evidence: platform.attest({ measurement, reportData: fromBase64Url(reportData) }),
    };
  } catch {
    return { error: 'expected {"reportData": 64 bytes in base64url}' };
  }
}
