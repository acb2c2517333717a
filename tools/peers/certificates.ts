// A certificate authority of the test network, and a certificate for `localhost` under it.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Files in PEM. */
export interface Certificates {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** Made with the library that Synapse itself needs, so that nothing more has to be installed. */
const MAKE = `
import datetime, ipaddress, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

def pem(path, data):
    with open(path, 'wb') as file:
        file.write(data)

def certificate(subject, key, issuer, issuer_key, extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30)))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

folder = sys.argv[1]
ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
pem(folder + '/ca.pem', certificate('test authority', ca_key, 'test authority', ca_key, [
    (x509.BasicConstraints(ca=True, path_length=None), True), (usage, True),
    (x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False)]))
pem(folder + '/tls.pem', certificate('localhost', key, 'test authority', ca_key, [
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (x509.SubjectAlternativeName([x509.DNSName('localhost'), x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]), False),
    (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)]))
pem(folder + '/tls.key', key.private_bytes(serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
`;

/** Makes them in a folder that is there. */
export function makeCertificates(python: string, folder: string): Certificates {
  const { status, stderr } = spawnSync(python, ['-c', MAKE, folder], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`no certificates: ${stderr}`);
  return {
    authority: join(folder, 'ca.pem'),
    certificate: join(folder, 'tls.pem'),
    key: join(folder, 'tls.key'),
  };
}
