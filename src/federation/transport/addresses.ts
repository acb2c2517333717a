// Which addresses a server name may lead to: public ones, and those of networks that the operator lists.
//
// Anybody can make this server connect to a name of theirs; what such a name says must not reach what stands
// behind our own walls. Addresses within addresses (IPv4 in IPv6) are looked at as what they end up as.
//
// Source: IANA special-purpose address registries (RFC 6890 and its updates).

import { BlockList, isIP } from 'node:net';

const FORBIDDEN_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
const FORBIDDEN_V6 = [
  '::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];
/** Networks whose last 32 bits are an IPv4 address. */
const EMBEDDING = ['::ffff:', '64:ff9b::'];

export class AddressGuard {
  readonly #forbidden = listOf([...FORBIDDEN_V4, ...FORBIDDEN_V6]);
  readonly #allowed: BlockList;

  /** @param allowed networks that may be reached although they are private: `10.0.0.0/8`, `::1` */
  constructor(allowed: readonly string[] = []) {
    this.#allowed = listOf(allowed);
  }

  /** May we connect to it? Anything that is no address may not be. */
  allows(address: string): boolean {
    // A zone (`fe80::1%eth0`) is of this machine's own network.
    const family = isIP(address);
    if (family === 0 || address.includes('%')) return false;
    const plain = family === 6 ? (embeddedV4(address) ?? address) : address;
    const kind = isIP(plain) === 4 ? 'ipv4' : 'ipv6';
    return this.#allowed.check(plain, kind) || !this.#forbidden.check(plain, kind);
  }
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    list.addSubnet(address, bits === undefined ? (family === 'ipv4' ? 32 : 128) : Number(bits), family);
  }
  return list;
}

/** The IPv4 address in an IPv6 address that holds one. */
function embeddedV4(address: string): string | undefined {
  // The URL parser writes an IPv6 address in its one canonical form.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const prefix = EMBEDDING.find((start) => canonical.startsWith(start));
  if (prefix === undefined) return undefined;
  const groups = canonical.slice(prefix.length).split(':');
  if (groups.length > 2) return undefined;
  const [high, low] = groups.length === 2 ? groups : ['0', groups[0]];
  const [a, b] = [Number.parseInt(high || '0', 16), Number.parseInt(low || '0', 16)];
  return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`;
}
