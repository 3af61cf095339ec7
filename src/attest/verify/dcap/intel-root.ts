import { parseCertificate } from "../../x509/certificate.ts";
import { trustAnchorOf } from "../../x509/chain.ts";
import type { TrustAnchor } from "../../x509/chain.ts";
import { parsePemCertificates } from "../../x509/pem.ts";

/**
 * "Intel SGX Root CA", valid from 2018-05-21 to 2049-12-31, serial 22650CD6...06AC, SHA-256
 * 44A0196B2B99F889B8E149E95B807A350E7424964399E885A7CBB8CCFAB674D3. Its key is what counts: an earlier
 * issue of it, to 2033, has the same key, name and serial.
 * @see https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.pem
 */
const INTEL_ROOT_PEM = `-----BEGIN CERTIFICATE-----
MIICjzCCAjSgAwIBAgIUImUM1lqdNInzg7SVUr9QGzknBqwwCgYIKoZIzj0EAwIw
aDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENv
cnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJ
BgNVBAYTAlVTMB4XDTE4MDUyMTEwNDUxMFoXDTQ5MTIzMTIzNTk1OVowaDEaMBgG
A1UEAwwRSW50ZWwgU0dYIFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0
aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJBgNVBAYT
AlVTMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC6nEwMDIYZOj/iPWsCzaEKi7
1OiOSLRFhWGjbnBVJfVnkY4u3IjkDYYL0MxO4mqsyYjlBalTVYxFP2sJBK5zlKOB
uzCBuDAfBgNVHSMEGDAWgBQiZQzWWp00ifODtJVSv1AbOScGrDBSBgNVHR8ESzBJ
MEegRaBDhkFodHRwczovL2NlcnRpZmljYXRlcy50cnVzdGVkc2VydmljZXMuaW50
ZWwuY29tL0ludGVsU0dYUm9vdENBLmRlcjAdBgNVHQ4EFgQUImUM1lqdNInzg7SV
Ur9QGzknBqwwDgYDVR0PAQH/BAQDAgEGMBIGA1UdEwEB/wQIMAYBAf8CAQEwCgYI
KoZIzj0EAwIDSQAwRgIhAOW/5QkR+S9CiSDcNoowLuPRLsWGf/Yi7GSX94BgwTwg
AiEA4J0lrHoMs+Xo5o/sX6O9QWxHRAvZUGOdRQ7cvqRXaqI=
-----END CERTIFICATE-----
`;

let anchor: TrustAnchor | null = null;

/** Intel's root for SGX and TDX, the only trust anchor of production. */
export function intelTrustAnchor(): TrustAnchor {
  anchor ??= parseAnchor();
  return anchor;
}

function parseAnchor(): TrustAnchor {
  const [der = new Uint8Array()] = parsePemCertificates(INTEL_ROOT_PEM);
  return trustAnchorOf(parseCertificate(der));
}
