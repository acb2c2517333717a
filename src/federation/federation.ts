// Federation: the one face of everything between this server and others. It wires its parts together.

import type { EventId, RoomId, ServerName } from '../event/ids.js';
import { Destinations } from './destinations.js';
import { Gaps } from './gaps/gaps.js';
import { KeyRing } from './identity/key-ring.js';
import { ServerKeys } from './identity/server-keys.js';
import { InputFailures } from './inbound/failures.js';
import { Input } from './inbound/input.js';
import { INPUT_OPTIONS } from './inbound/options.js';
import { RemoteMembership } from './membership/remote-membership.js';
import { RoomServers } from './outbound/room-servers.js';
import { Sender } from './outbound/sender.js';
import type { FederationParts } from './parts.js';
import { RemoteServers } from './requests.js';
import { Resyncs } from './resync/resyncs.js';
import { RemoteUsers } from './users/remote-users.js';

export type { FederationParts } from './parts.js';

/** Parts that are read from the store before the others can begin. */
interface Opened {
  readonly destinations: Destinations;
  readonly remote: RemoteServers;
  readonly roomServers: RoomServers;
  readonly sender: Sender;
  readonly users: RemoteUsers;
  readonly ownKeys: ServerKeys;
  readonly keyRing: KeyRing;
  readonly membership: RemoteMembership;
  readonly gaps: Gaps;
  readonly input: Input;
  readonly resyncs: Resyncs;
}

export class Federation {
  readonly parts: FederationParts;
  /** This server's own keys, as they are published. */
  readonly ownKeys: ServerKeys;
  /** Keys of other servers. */
  readonly keyRing: KeyRing;
  /** Servers that fail, and when they are asked again. */
  readonly destinations: Destinations;
  /** Requests to other servers. */
  readonly remote: RemoteServers;
  /** Memberships in rooms by way of other servers. */
  readonly membership: RemoteMembership;
  /** Which servers are in which rooms. */
  readonly roomServers: RoomServers;
  /** What goes out by itself: events, EDUs. */
  readonly sender: Sender;
  /** Keys, devices and profiles of other servers' users. */
  readonly users: RemoteUsers;
  /** Events that wait for others, and history from before what is known. */
  readonly gaps: Gaps;
  /** What other servers send. */
  readonly input: Input;
  /** Rooms whose state is not all known, and how it is completed. */
  readonly resyncs: Resyncs;

  /** How much waits, by queue: for metrics. */
  readonly queueLengths: ReadonlyMap<string, () => number>;

  private constructor(parts: FederationParts, opened: Opened) {
    this.parts = parts;
    this.ownKeys = opened.ownKeys;
    this.destinations = opened.destinations;
    this.remote = opened.remote;
    this.roomServers = opened.roomServers;
    this.sender = opened.sender;
    this.users = opened.users;
    this.keyRing = opened.keyRing;
    this.membership = opened.membership;
    this.gaps = opened.gaps;
    this.input = opened.input;
    this.resyncs = opened.resyncs;
    this.queueLengths = new Map([
      ['input_events', () => this.input.depths.events],
      ['input_parked', () => this.input.depths.parked],
      ['gap_events', () => this.gaps.depths.events],
      ['output_events', () => this.sender.stats().queued],
      ['output_ephemeral', () => this.sender.stats().ephemeral],
      ['output_to_device', () => this.sender.stats().toDevice],
    ]);
  }

  /**
   * Federation on an engine that is open. Close it before accounts and engine. The engine's `keys` are this one's
   * `keyRing.lookup`.
   */
  static async open(parts: FederationParts): Promise<Federation> {
    const destinations = new Destinations(parts);
    const remote = new RemoteServers({ ...parts, destinations });
    const roomServers = await RoomServers.open(parts);
    const shared = { ...parts, destinations, remote, roomServers };
    const { tuning = {} } = parts;
    const sender = await Sender.open({ ...shared, limits: tuning.sender ?? {} });
    const users = await RemoteUsers.open(shared);
    const ownKeys = new ServerKeys(parts);
    const keyRing = new KeyRing({ ...parts, remote, ownKeys });
    const serversOf = (roomId: RoomId): readonly ServerName[] => roomServers.serversOf(roomId);
    const inputOptions = tuning.input ?? {};
    const { failuresMax } = { ...INPUT_OPTIONS, ...inputOptions };
    const failures = await InputFailures.open(parts.engine, failuresMax);
    const isGivenUp = (eventId: EventId): boolean => failures.isFatal(eventId);
    const gaps = await Gaps.open({
      ...shared,
      keyRing,
      serversOf,
      isGivenUp,
      gapOptions: tuning.gaps ?? {},
    });
    const membership = new RemoteMembership({ ...parts, remote, keyRing, gaps });
    await membership.recover();
    const input = await Input.open({ ...shared, keyRing, gaps, membership, failures, inputOptions });
    input.attach(users.sink);
    const resyncs = new Resyncs({
      ...shared,
      keyRing,
      isGivenUp,
      onCompleted: (roomId) => membership.completed(roomId),
      resyncOptions: tuning.resync ?? {},
    });
    const opened = { sender, users, ownKeys, keyRing, membership, gaps, input, resyncs };
    return new Federation(parts, { ...shared, ...opened });
  }

  /** Ends what is under way, and the transport. */
  async close(): Promise<void> {
    await this.input.close();
    await this.resyncs.close();
    await this.membership.close();
    await this.gaps.close();
    await this.sender.close();
    await this.users.close();
    await this.roomServers.close();
    await this.parts.transport.close();
  }
}
