// Names to addresses, and service records: what discovery asks of the DNS.

import { lookup, Resolver } from 'node:dns/promises';

export interface ServiceRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export interface Dns {
  /** The addresses of a host, as the system finds them. @throws where there are none */
  addresses(host: string): Promise<readonly string[]>;
  /** Service records; none where there are none. @throws where nobody answers */
  services(name: string): Promise<readonly ServiceRecord[]>;
}

const TIMEOUT_MS = 5_000;
const TRIES = 2;
/** Errors that say: there is no such record. */
const NOTHING = new Set(['ENOTFOUND', 'ENODATA']);

/** The DNS as this machine is set up to ask it. */
export function systemDns(): Dns {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  return {
    async addresses(host) {
      const found = await lookup(host, { all: true, verbatim: true });
      return found.map(({ address }) => address);
    },
    async services(name) {
      try {
        return await resolver.resolveSrv(name);
      } catch (error) {
        if (error instanceof Error && 'code' in error && NOTHING.has(String(error.code))) return [];
        throw error;
      }
    },
  };
}
