/** A report's fields as virtee's `sev` crate writes them in JSON, read from its bytes by AMD's table 23. */
export function cocoReportOf(report: Uint8Array): Record<string, unknown> {
  const view = new DataView(report.buffer, report.byteOffset, report.byteLength);
  const bytes = (offset: number, length: number): number[] => [
    ...report.subarray(offset, offset + length),
  ];
  const u64 = (offset: number): number => Number(view.getBigUint64(offset, true));
  const version = view.getUint32(0, true);
  const isTurin = report[0x188] === 0x1a;
  const tcb = (offset: number): Record<string, unknown> => {
    const [b0, b1, b2, b3, , , b6, b7] = bytes(offset, 8);
    return isTurin
      ? { fmc: b0, bootloader: b1, tee: b2, snp: b3, microcode: b7 }
      : { fmc: null, bootloader: b0, tee: b1, snp: b6, microcode: b7 };
  };
  const firmware = (offset: number): Record<string, unknown> => {
    const [build, minor, major] = bytes(offset, 3);
    return { major, minor, build };
  };
  return {
    version,
    guest_svn: view.getUint32(4, true),
    policy: u64(8),
    family_id: bytes(0x10, 16),
    image_id: bytes(0x20, 16),
    vmpl: view.getUint32(0x30, true),
    sig_algo: view.getUint32(0x34, true),
    current_tcb: tcb(0x38),
    plat_info: u64(0x40),
    key_info: view.getUint32(0x48, true),
    report_data: bytes(0x50, 64),
    measurement: bytes(0x90, 48),
    host_data: bytes(0xc0, 32),
    id_key_digest: bytes(0xe0, 48),
    author_key_digest: bytes(0x110, 48),
    report_id: bytes(0x140, 32),
    report_id_ma: bytes(0x160, 32),
    reported_tcb: tcb(0x180),
    cpuid_fam_id: version === 2 ? null : report[0x188],
    cpuid_mod_id: version === 2 ? null : report[0x189],
    cpuid_step: version === 2 ? null : report[0x18a],
    chip_id: bytes(0x1a0, 64),
    committed_tcb: tcb(0x1e0),
    current: firmware(0x1e8),
    committed: firmware(0x1ec),
    launch_tcb: tcb(0x1f0),
    launch_mit_vector: version === 5 ? u64(0x1f8) : null,
    current_mit_vector: version === 5 ? u64(0x200) : null,
    signature: { r: bytes(0x2a0, 72), s: bytes(0x2e8, 72) },
  };
}
