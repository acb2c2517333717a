// A certificate authority of a test network, and certificates under it: X.509 written out in DER, signed by node:crypto.
//
// Source: RFC 5280, section 4.1 and 4.2.1; RFC 5758, section 3.2 (ecdsa-with-SHA256).

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate and its private key, PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #name: string;
  /** Its own certificate, PEM. */
  readonly cert: string;

  constructor(name = 'authority of the tests') {
    this.#name = name;
    this.cert = pem(
      'CERTIFICATE',
      this.#signed(name, this.#keys.publicKey, [
        extension('2.5.29.19', der(SEQUENCE, der(BOOLEAN, Buffer.from([0xff])))),
      ]),
    );
  }

  /** A certificate for host names and addresses. */
  issue(...names: readonly string[]): Certificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const alternatives = names.map((name) =>
      isIP(name) === 0 ? der(0x82, Buffer.from(name, 'ascii')) : der(0x87, addressBytes(name)),
    );
    const signed = this.#signed(names[0] ?? 'nobody', publicKey, [
      extension('2.5.29.17', der(SEQUENCE, ...alternatives)),
    ]);
    return {
      cert: pem('CERTIFICATE', signed),
      key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    };
  }

  #signed(subject: string, publicKey: KeyObject, extensions: readonly Buffer[]): Buffer {
    const algorithm = der(SEQUENCE, oid('1.2.840.10045.4.3.2'));
    const content = der(
      SEQUENCE,
      der(0xa0, der(INTEGER, Buffer.from([2]))),
      der(INTEGER, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      algorithm,
      nameOf(this.#name),
      der(SEQUENCE, time(-86_400_000), time(30 * 86_400_000)),
      nameOf(subject),
      publicKey.export({ format: 'der', type: 'spki' }),
      der(0xa3, der(SEQUENCE, ...extensions)),
    );
    const signature = sign('sha256', content, this.#keys.privateKey);
    return der(SEQUENCE, content, algorithm, der(BIT_STRING, Buffer.from([0]), signature));
  }
}

const BOOLEAN = 0x01;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_ID = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const SEQUENCE = 0x30;
const SET = 0x31;

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = rest.flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return der(OBJECT_ID, Buffer.from([first * 40 + second, ...bytes]));
}

function extension(id: string, value: Buffer): Buffer {
  return der(SEQUENCE, oid(id), der(OCTET_STRING, value));
}

function nameOf(text: string): Buffer {
  return der(SEQUENCE, der(SET, der(SEQUENCE, oid('2.5.4.3'), der(UTF8_STRING, Buffer.from(text)))));
}

function time(fromNowMs: number): Buffer {
  const digits = new Date(Date.now() + fromNowMs).toISOString().replace(/\D/g, '').slice(2, 14);
  return der(UTC_TIME, Buffer.from(`${digits}Z`));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  if (address !== '::1') throw new Error('of IPv6 addresses only ::1 is written');
  return Buffer.concat([Buffer.alloc(15), Buffer.from([1])]);
}

function pem(kind: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${kind}-----\n${lines.join('\n')}\n-----END ${kind}-----\n`;
}
