/*
 * The drivers' side of /dev/sev-guest and /dev/tdx_guest, in the place of the C library's ioctl: it
 * follows the addresses in struct snp_guest_request_ioctl and snp_ext_report_req as the kernel does.
 */
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define SNP_GET_REPORT 0xc0205300UL
#define SNP_GET_EXT_REPORT 0xc0205302UL
#define TDX_CMD_GET_REPORT0 0xc4405401UL

static void *address_at(const uint8_t *bytes) {
  uint64_t address;
  memcpy(&address, bytes, 8);
  return (void *)(uintptr_t)address;
}

static void put_u32(uint8_t *bytes, uint32_t value) {
  memcpy(bytes, &value, 4);
}

static void write_certificates(uint8_t *table, uint32_t length) {
  static const uint8_t vcek[16] = {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
                                   0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd};
  memset(table, 0, length);
  memcpy(table, vcek, 16);
  put_u32(table + 16, 48);
  put_u32(table + 20, 5);
  memcpy(table + 48, "hello", 5);
}

static int snp_report(uint8_t *argument, int extended) {
  uint8_t *request = address_at(argument + 8);
  uint8_t *response = address_at(argument + 16);
  if (argument[0] != 1)
    return -1;
  memset(response, 0, 4000);
  put_u32(response + 4, 1184);
  response[32 + 0x30] = request[64];
  memcpy(response + 32 + 0x50, request, 64);
  if (extended) {
    uint32_t length;
    memcpy(&length, request + 104, 4);
    write_certificates(address_at(request + 96), length);
  }
  return 0;
}

int ioctl(int file, unsigned long number, ...) {
  va_list rest;
  uint8_t *argument;
  (void)file;
  va_start(rest, number);
  argument = va_arg(rest, uint8_t *);
  va_end(rest);
  switch (number & 0xffffffffUL) {
  case SNP_GET_REPORT:
    return snp_report(argument, 0);
  case SNP_GET_EXT_REPORT:
    return snp_report(argument, 1);
  case TDX_CMD_GET_REPORT0:
    memset(argument + 64, 0, 1024);
    argument[64] = 0x81;
    memcpy(argument + 64 + 128, argument, 64);
    return 0;
  default:
    return -1;
  }
}
