// From a server name to where it is reached.
//
//   resolve of the configuration ─▶ address literal ─▶ explicit port ─▶ .well-known ─▶ the same for what it names
//     ─▶ SRV _matrix-fed._tcp ─▶ SRV _matrix._tcp (deprecated) ─▶ port 8448
//
// Source: server-server API, "Resolving server names", whose step numbers stand below.

import type { ServerName } from '../../event/ids.js';
import { ClockCache } from '../../lib/clock-cache.js';
import { UnreachableError } from '../errors.js';
import type { Dns, ServiceRecord } from './dns.js';
import { type HostAndPort, parseHostAndPort, type Target } from './target.js';
import type { WellKnown } from './well-known.js';

const DEFAULT_PORT = 8448;
const SERVICES_MAX = 16;
const NAMES_KEPT_MAX = 20_000;
/** Service records come without their times to live; failures to get any are kept for less. */
const SERVICES_KEPT_MS = 5 * 60_000;
const FAILURE_KEPT_MS = 30_000;

export interface DiscoveryParts {
  readonly dns: Pick<Dns, 'services'>;
  readonly wellKnown: Pick<WellKnown, 'delegateOf'>;
  /** Server names that are reached at a `host:port`, whatever the network says. */
  readonly resolve: ReadonlyMap<string, HostAndPort>;
  readonly now: () => number;
  readonly random: () => number;
}

interface Kept {
  readonly records: readonly ServiceRecord[];
  readonly until: number;
}

export class Discovery {
  readonly #parts: DiscoveryParts;
  readonly #services = new ClockCache<string, Kept>(NAMES_KEPT_MAX);
  readonly #underWay = new Map<string, Promise<readonly ServiceRecord[]>>();

  constructor(parts: DiscoveryParts) {
    this.#parts = parts;
  }

  /** Where to try, in this order. @throws FEDERATION_UNREACHABLE */
  async targetsOf(server: ServerName): Promise<readonly Target[]> {
    const name = parseHostAndPort(server);
    if (name === undefined) {
      throw new UnreachableError(`${server} names no server`, { destination: server });
    }
    const fixed = this.#parts.resolve.get(server);
    if (fixed !== undefined) {
      const port = fixed.port ?? DEFAULT_PORT;
      return [{ host: fixed.host, port, hostHeader: server, certificateName: name.host }];
    }
    // Steps 1 and 2.
    if (name.isAddress || name.port !== undefined) return [direct(server, name)];
    // Step 3.
    const delegate = await this.#parts.wellKnown.delegateOf(name.host);
    const delegated = delegate === undefined ? undefined : parseHostAndPort(delegate);
    if (delegate !== undefined && delegated !== undefined) {
      // Steps 3.1 and 3.2.
      if (delegated.isAddress || delegated.port !== undefined) return [direct(delegate, delegated)];
      // Steps 3.3 to 3.5.
      return this.#byService(delegated.host);
    }
    // Steps 4 to 6.
    return this.#byService(name.host);
  }

  async #byService(host: string): Promise<readonly Target[]> {
    const found = await this.#servicesOf(`_matrix-fed._tcp.${host}`);
    const records = found.length > 0 ? found : await this.#servicesOf(`_matrix._tcp.${host}`);
    if (records.length === 0) {
      return [{ host, port: DEFAULT_PORT, hostHeader: host, certificateName: host }];
    }
    // A single `.` says that there is no such service (RFC 2782).
    const usable = records.filter(({ name, port }) => name !== '.' && name !== '' && port > 0);
    if (usable.length === 0) {
      throw new UnreachableError(`${host} says that it offers no federation`, { destination: host });
    }
    return ordered(usable, this.#parts.random).map(({ name, port }) => ({
      host: name.replace(/\.$/, ''),
      port,
      hostHeader: host,
      certificateName: host,
    }));
  }

  #servicesOf(name: string): Promise<readonly ServiceRecord[]> {
    const kept = this.#services.get(name);
    if (kept !== undefined && kept.until > this.#parts.now()) return Promise.resolve(kept.records);
    const underWay = this.#underWay.get(name);
    if (underWay !== undefined) return underWay;
    const asking = this.#askServices(name).finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, asking);
    return asking;
  }

  async #askServices(name: string): Promise<readonly ServiceRecord[]> {
    let records: readonly ServiceRecord[] = [];
    let keptMs = SERVICES_KEPT_MS;
    try {
      records = (await this.#parts.dns.services(name)).slice(0, SERVICES_MAX);
    } catch {
      // Nobody answered: as without a record, but asked again soon.
      keptMs = FAILURE_KEPT_MS;
    }
    this.#services.set(name, { records, until: this.#parts.now() + keptMs }, 1);
    return records;
  }
}

function direct(hostHeader: string, { host, port }: HostAndPort): Target {
  return { host, port: port ?? DEFAULT_PORT, hostHeader, certificateName: host };
}

/** By priority, and within one at random by weight (RFC 2782). */
function ordered(records: readonly ServiceRecord[], random: () => number): ServiceRecord[] {
  return records
    .map((record) => ({ record, rank: -Math.log(1 - random()) / (record.weight + 0.01) }))
    .sort((a, b) => a.record.priority - b.record.priority || a.rank - b.rank)
    .map(({ record }) => record);
}
