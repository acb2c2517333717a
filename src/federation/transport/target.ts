// Where a server is reached, and how it proves that it is the one.

import { isIP } from 'node:net';

export interface Target {
  /** What is connected to: a host name or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** The `Host` header. */
  readonly hostHeader: string;
  /** The name or address that the certificate must be for; a name is also what TLS asks for (SNI). */
  readonly certificateName: string;
}

/** A server name taken apart: brackets gone from addresses. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number | undefined;
  readonly isAddress: boolean;
}

const HOST_AND_PORT = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9A-Za-z.-]{1,255}))(?::([0-9]{1,5}))?$/;

/** Host and port of `example.org`, `1.2.3.4:8448`, `[::1]:8448`; undefined for anything else. */
export function parseHostAndPort(text: string): HostAndPort | undefined {
  const [, bracketed, plain, portText] = HOST_AND_PORT.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) return undefined;
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  const family = isIP(host);
  if (bracketed !== undefined && family !== 6) return undefined;
  // What is all digits and dots and no address is no name either: `1.2.3`, which some resolvers take for one.
  if (family === 0 && /^(?:[0-9.]+|0x[0-9a-fx.]*)$/i.test(host)) return undefined;
  return { host, port, isAddress: family !== 0 };
}
