// Names to addresses, and service records: what discovery asks of the DNS.

import { lookup, Resolver } from 'node:dns/promises';
import { Gate } from '../../lib/gate.js';

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
/** Errors that say: nobody answered in time; to ask the system would only wait again. */
const NO_ANSWER = new Set(['ETIMEOUT', 'ECANCELLED']);
/**
 * Names that are looked up by the system at once: each takes one of the few threads that disk writes need too, and
 * keeps a process alive that wants to end.
 */
const SYSTEM_LOOKUPS_MAX = 2;

/** The DNS as this machine is set up to ask it; names that it does not have are looked up as the system does. */
export function systemDns(): Dns {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  const gate = new Gate(SYSTEM_LOOKUPS_MAX);
  return {
    async addresses(host) {
      // A name without a dot is one of this machine or network: `localhost`.
      const records = host.includes('.') ? await recordsOf(resolver, host) : [];
      if (records.length > 0) return records;
      await gate.enter(1);
      try {
        const found = await lookup(host, { all: true, verbatim: true });
        return found.map(({ address }) => address);
      } finally {
        gate.leave(1);
      }
    },
    async services(name) {
      try {
        return await resolver.resolveSrv(name);
      } catch (error) {
        if (NOTHING.has(codeOf(error))) return [];
        throw error;
      }
    },
  };
}

/** A host's address records; none where the DNS has none, or is not there. @throws where nobody answers in time */
async function recordsOf(resolver: Resolver, host: string): Promise<readonly string[]> {
  const asked = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = asked.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  for (const answer of asked) {
    if (found.length === 0 && answer.status === 'rejected' && NO_ANSWER.has(codeOf(answer.reason)))
      throw answer.reason;
  }
  return found;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
