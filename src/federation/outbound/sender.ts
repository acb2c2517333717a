// Sends to other servers what they are to hear: one transaction at a time to each, in order, again until it is
// answered.
//
//   released ──▶ FanOut ──▶ a Destination's queue, a room's Audience ──▶ Transactions ──▶ /send
//                                │ too much, too long                    │ answered
//                                ▼                                       ▼
//                             missed (Ledger) ◀──── crash, restart ── forgotten
//
// It keeps its place in the commit order. What lies behind that place is delivered, or a row of the ledger says
// what is left: a transaction that was begun, or what a server missed that is behind. What lies after it is read
// again after a restart. A transaction is on disk before it is sent, so it goes out again under the same id.
//
// Source: server-server API, "Transactions", PUT /send/{txnId}.

import type { EventId, RoomId, ServerName, UserId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import { toError } from '../../lib/errors.js';
import { Gate } from '../../lib/gate.js';
import type { Destinations } from '../destinations.js';
import { BackingOffError, isRemoteFailure, RefusedError } from '../errors.js';
import type { FederationParts } from '../parts.js';
import type { RemoteServers } from '../requests.js';
import { Audiences } from './audience.js';
import { Backlog } from './backlog.js';
import type { Destination, Transaction } from './destination.js';
import { FanOut, type Outgoing } from './fan-out.js';
import type { EventItem } from './items.js';
import { LateNews } from './late-news.js';
import { SENDER_OPTIONS, type SenderOptions } from './options.js';
import type { RoomServers } from './room-servers.js';
import { type MessagesByDevice, ToDeviceOutbox } from './to-device-outbox.js';
import { Transactions } from './transactions.js';

export interface SenderParts
  extends Pick<FederationParts, 'engine' | 'accounts' | 'serverName' | 'now' | 'after' | 'log'> {
  readonly destinations: Destinations;
  readonly remote: Pick<RemoteServers, 'sendTransaction'>;
  readonly roomServers: RoomServers;
  readonly limits?: Partial<SenderOptions>;
}

export type TransactionOutcome = 'delivered' | 'failed' | 'refused' | 'given_up';

export interface SenderStats {
  /** Servers that something waits for. */
  readonly destinations: number;
  /** Those of them that are behind. */
  readonly behind: number;
  /** Events and device changes that wait in memory. */
  readonly queued: number;
  /** Receipts, typing and presence that wait. */
  readonly ephemeral: number;
  /** Messages to devices that wait. */
  readonly toDevice: number;
  /** Transactions since the start. */
  readonly transactions: Readonly<Record<TransactionOutcome, number>>;
  readonly pdusSent: number;
  readonly edusSent: number;
}

/** What waits for one server. */
export interface WaitingDestination {
  readonly server: ServerName;
  /** Too much waited for too long: it catches up from the newest events when it is back. */
  readonly isBehind: boolean;
  /** Events and device changes in memory, and the events of a transaction under way. */
  readonly queued: number;
  /** Receipts, typing and presence. */
  readonly ephemeral: number;
  readonly toDevice: number;
  /** Rooms in which it missed something. */
  readonly missedRooms: number;
}

export class Sender {
  readonly #parts: SenderParts;
  readonly #options: SenderOptions;
  readonly #fanOut: FanOut;
  readonly #lateNews: LateNews;
  readonly #outbox: ToDeviceOutbox;
  readonly #backlog: Backlog;
  readonly #audiences = new Audiences();
  readonly #transactions: Transactions;
  readonly #gate: Gate;
  /** For servers that failed last: those that never answer must not hold up those that do. */
  readonly #retryGate: Gate;
  readonly #ending = new AbortController();
  readonly #unsubscribe: () => void;
  readonly #counts: Record<TransactionOutcome, number> = { delivered: 0, failed: 0, refused: 0, given_up: 0 };
  #pdusSent = 0;
  #edusSent = 0;
  #following: Promise<void> = Promise.resolve();
  #keptAt = 0;
  #failure: Error | undefined;
  #waiting: (() => void)[] = [];

  private constructor(parts: SenderParts, options: SenderOptions, outbox: ToDeviceOutbox) {
    this.#parts = parts;
    this.#options = options;
    this.#fanOut = new FanOut(parts);
    this.#lateNews = new LateNews(parts);
    this.#outbox = outbox;
    this.#backlog = new Backlog(parts.engine, outbox);
    this.#transactions = new Transactions({ ...parts, options, outbox });
    this.#gate = new Gate(options.transactionsMax);
    this.#retryGate = new Gate(Math.ceil(options.transactionsMax / 4));
    this.#unsubscribe = parts.destinations.onRecovered((server) => this.#wakeKnown(server));
  }

  /** Goes on where it was left, with what was begun and what is committed since. */
  static async open(parts: SenderParts): Promise<Sender> {
    const options = { ...SENDER_OPTIONS, ...parts.limits };
    const outbox = await ToDeviceOutbox.open(parts.engine, options.toDeviceMax, (destination, count) =>
      parts.log.warn({ destination, count }, 'too many messages to devices wait: the oldest were dropped'),
    );
    const sender = new Sender(parts, options, outbox);
    await sender.#backlog.load();
    sender.#following = sender.#follow();
    for (const server of outbox.servers()) sender.#wake(sender.#backlog.destination(server));
    for (const destination of sender.#backlog.destinations.values()) sender.#wake(destination);
    return sender;
  }

  /** Takes nothing more, waits for what is under way, and notes where it is. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#unsubscribe();
    for (const { cancelRetry } of this.#backlog.destinations.values()) cancelRetry?.();
    await this.#following;
    await Promise.all([...this.#backlog.destinations.values()].flatMap(({ running }) => running ?? []));
    if (this.#failure === undefined) await this.#backlog.keep();
  }

  /** Messages to devices of other servers' users; handed to the writer before this returns. */
  async sendToDevice(sender: UserId, type: string, messages: MessagesByDevice): Promise<void> {
    const servers = await this.#outbox.add(sender, type, messages);
    for (const server of servers) this.#wake(this.#backlog.destination(server));
  }

  /** A user of this server types in a room, or no longer. */
  sendTyping(roomId: RoomId, userId: UserId, isTyping: boolean): void {
    for (const server of this.#parts.roomServers.serversOf(roomId)) {
      if (this.#isOut(server)) continue;
      const destination = this.#backlog.destination(server);
      destination.addTyping({ roomId, userId, isTyping }, this.#options.ephemeralMax);
      this.#wake(destination);
    }
  }

  /** @param presence of a user of this server, as `m.presence` has it, without `user_id` */
  async sendPresence(userId: UserId, presence: JsonObject): Promise<void> {
    const { presenceServersMax } = this.#options;
    if (presenceServersMax === 0) return;
    for (const server of await this.#fanOut.sharing(userId, presenceServersMax)) {
      if (this.#isOut(server)) continue;
      const destination = this.#backlog.destination(server);
      destination.addPresence({ userId, presence }, this.#options.ephemeralMax);
      this.#wake(destination);
    }
  }

  /** Each server that something waits for. */
  waiting(): WaitingDestination[] {
    return [...this.#backlog.destinations.values()].flatMap((destination) => {
      const { server, isBehind, waitingCount, receipts, typing, presence } = destination;
      const toDevice = this.#outbox.count(server);
      if (destination.isIdle && toDevice === 0) return [];
      return {
        server,
        isBehind,
        queued: waitingCount + (destination.transaction?.pdus.length ?? 0),
        ephemeral: receipts.size + typing.size + presence.size,
        toDevice,
        missedRooms: destination.missedRooms.size,
      };
    });
  }

  stats(): SenderStats {
    const all = [...this.#backlog.destinations.values()];
    const sum = (of: (destination: Destination) => number): number =>
      all.reduce((total, destination) => total + of(destination), 0);
    return {
      destinations: all.filter((one) => !one.isIdle || this.#outbox.count(one.server) > 0).length,
      behind: all.filter(({ isBehind }) => isBehind).length,
      queued: sum(({ waitingCount }) => waitingCount),
      ephemeral: sum(({ receipts, typing, presence }) => receipts.size + typing.size + presence.size),
      toDevice: this.#outbox.count(),
      transactions: { ...this.#counts },
      pdusSent: this.#pdusSent,
      edusSent: this.#edusSent,
    };
  }

  /** Resolves when all that is committed is handed out, and nothing can be sent before time passes. */
  async settled(): Promise<void> {
    const { engine } = this.#parts;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const running = [...this.#backlog.destinations.values()].flatMap(
        (destination) => destination.running ?? [],
      );
      if (running.length > 0) await Promise.all(running);
      else if (this.#backlog.position < engine.watermark && !this.#ending.signal.aborted) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      } else return;
    }
  }

  // Following what is committed.

  async #follow(): Promise<void> {
    const { engine, roomServers, log } = this.#parts;
    try {
      const released = engine.released({
        after: this.#backlog.position,
        placedOnly: true,
        signal: this.#ending.signal,
      });
      for await (const { seqLast, events } of released) {
        await roomServers.caughtUp();
        const reached = new Set<Destination>();
        for (const { seq, row } of events) {
          const outgoing = await this.#fanOut.outgoing(seq, row);
          if (outgoing !== undefined) {
            this.#lateNews.handedOut(outgoing);
            this.#handOut(outgoing, reached);
          }
          // All of one place in one turn: who has some of it is taken to have it all.
          for (const late of await this.#lateNews.outgoing(seq, row)) this.#handOut(late, reached);
        }
        this.#backlog.position = seqLast;
        for (const destination of reached) this.#wake(destination);
        await this.#keepNowAndThen(seqLast);
        for (const resolve of this.#waiting.splice(0)) resolve();
      }
    } catch (error) {
      this.#failure = toError(error);
      log.warn({ err: this.#failure }, 'nothing more is sent to other servers until a restart');
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** What waits for a server that fails holds the position back: trying again with every event would not move it. */
  async #keepNowAndThen(seq: number): Promise<void> {
    if (seq - Math.max(this.#backlog.positionKept, this.#keptAt) <= this.#options.positionLagMax) return;
    this.#keptAt = seq;
    await this.#backlog.keep();
  }

  #handOut(outgoing: Outgoing, reached: Set<Destination>): void {
    if ('event' in outgoing) {
      this.#handToRoom(outgoing.event, outgoing.room, reached);
      return;
    }
    const seq = 'item' in outgoing ? outgoing.item.seq : outgoing.receipt.seq;
    for (const server of outgoing.to) {
      const destination = this.#backlog.destination(server);
      if (seq <= destination.sent) continue;
      reached.add(destination);
      if ('receipt' in outgoing) destination.addReceipt(outgoing.receipt, this.#options.ephemeralMax);
      else if (destination.isBehind) this.#backlog.put(destination.miss(outgoing.item));
      else {
        destination.queued.push(outgoing.item);
        if (destination.queued.length > this.#queuedMax(server)) this.#fallBehind(destination);
      }
    }
  }

  /** Costs a step for each server that had all before it. */
  #handToRoom(event: EventItem, servers: ReadonlySet<ServerName>, reached: Set<Destination>): void {
    const audience = this.#audiences.of(event.roomId, servers);
    for (const server of audience.add(event)) {
      const destination = this.#backlog.destination(server);
      if (event.seq <= destination.sent) continue;
      reached.add(destination);
      if (destination.isBehind) this.#backlog.put(destination.miss(event, audience));
      else destination.waitIn(audience);
    }
    for (const server of audience.suspects()) {
      const destination = this.#backlog.destination(server);
      if (destination.waitingCount > this.#queuedMax(server)) this.#fallBehind(destination);
    }
    audience.tidy();
  }

  #queuedMax(server: ServerName): number {
    const { queuedMax, queuedFailingMax } = this.#options;
    return this.#parts.destinations.failing(server) === undefined ? queuedMax : queuedFailingMax;
  }

  #fallBehind(destination: Destination): void {
    for (const row of destination.fallBehind()) this.#backlog.put(row);
    this.#backlog.putRow(destination);
  }

  // Sending.

  #wakeKnown(server: ServerName): void {
    const destination = this.#backlog.destinations.get(server);
    if (destination !== undefined) this.#wake(destination);
  }

  #wake(destination: Destination): void {
    if (destination.running !== undefined || this.#ending.signal.aborted) return;
    destination.cancelRetry?.();
    destination.cancelRetry = undefined;
    destination.running = this.#run(destination)
      .catch((error: unknown) => {
        this.#failure ??= toError(error);
        this.#parts.log.warn({ destination: destination.server, err: toError(error) }, 'sending ended');
      })
      .finally(() => {
        destination.running = undefined;
        // What came in the very turn in which it found nothing.
        if (this.#failure === undefined && this.#canSend(destination)) this.#wake(destination);
        else if (
          destination.isIdle &&
          !this.#backlog.hasRow(destination.server) &&
          this.#backlog.isOutboxEmpty(destination)
        ) {
          this.#backlog.destinations.delete(destination.server);
        }
      });
  }

  #canSend(destination: Destination): boolean {
    if (this.#parts.destinations.isBackingOff(destination.server)) return false;
    return !destination.isIdle || !this.#backlog.isOutboxEmpty(destination);
  }

  /** Sends as long as there is something to send and somebody to take it. */
  async #run(destination: Destination): Promise<void> {
    const { destinations, now, after } = this.#parts;
    // What else this turn brings goes along.
    await Promise.resolve();
    while (!this.#ending.signal.aborted) {
      const failing = destinations.failing(destination.server);
      if (failing !== undefined) {
        if (
          !destination.isBehind &&
          !destination.isIdle &&
          now() - failing.failingSince > this.#options.outageMs
        ) {
          this.#fallBehind(destination);
          await this.#backlog.keep();
        }
        if (failing.retryAt > now()) {
          if (destination.isIdle && this.#backlog.isOutboxEmpty(destination)) return;
          destination.cancelRetry = after(failing.retryAt - now(), () => this.#wake(destination));
          return;
        }
      }
      const transaction = destination.transaction ?? (await this.#begin(destination));
      if (transaction === undefined) {
        await this.#finish(destination);
        return;
      }
      await this.#send(destination, transaction);
    }
  }

  /** The next transaction, on disk. */
  async #begin(destination: Destination): Promise<Transaction | undefined> {
    destination.catchUp();
    destination.gather();
    const transaction = this.#transactions.next(destination, this.#backlog.position);
    if (transaction === undefined) return undefined;
    destination.transaction = transaction;
    destination.refusals = 0;
    destination.sent = Math.max(destination.sent, transaction.upTo);
    if (!isDurable(transaction)) return transaction;
    this.#backlog.putRow(destination);
    await this.#backlog.keep();
    return transaction;
  }

  async #send(destination: Destination, transaction: Transaction): Promise<void> {
    const { remote, destinations, log } = this.#parts;
    const { server } = destination;
    const gate = destinations.failing(server) === undefined ? this.#gate : this.#retryGate;
    await gate.enter(1);
    try {
      const body = this.#transactions.body(transaction);
      const limits = { timeoutMs: this.#options.transactionTimeoutMs, signal: this.#ending.signal };
      const answers = await remote.sendTransaction(server, transaction.id, body, limits);
      for (const id of transaction.pdus) noteAnswer(log, server, id, answers[id]);
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      if (!isRemoteFailure(error)) throw error;
      if (error.code === BackingOffError.code) return;
      const isRefused = error instanceof RefusedError && error.status < 500 && error.status !== 429;
      this.#counts[isRefused ? 'refused' : 'failed']++;
      // Whoever answers and does not take it is left alone as if it had not answered.
      destinations.failed(server, error.message);
      log.debug({ destination: server, err: error }, 'a transaction was not taken');
      this.#keepPresence(destination, transaction);
      if (isRefused && ++destination.refusals >= this.#options.refusalsMax) {
        await this.#giveUp(destination, transaction);
      }
      return;
    } finally {
      gate.leave(1);
    }
    this.#counts.delivered++;
    this.#pdusSent += transaction.pdus.length;
    this.#edusSent += transaction.edus.length + transaction.toDevice.length;
    await this.#forget(destination, transaction);
  }

  /** The destination has all of it. */
  async #forget(destination: Destination, transaction: Transaction): Promise<void> {
    const { server } = destination;
    destination.transaction = undefined;
    if (!isDurable(transaction)) return;
    this.#backlog.madeUp(destination, transaction);
    destination.catchUp();
    const isDone = destination.isIdle && destination.sent <= this.#backlog.lowest();
    if (isDone) this.#backlog.deleteRow(server);
    else this.#backlog.putRow(destination);
    await Promise.all([this.#outbox.remove(server, transaction.toDevice), this.#backlog.keep()]);
  }

  /** It is refused again and again: its events count as missed, its messages to devices are lost. */
  async #giveUp(destination: Destination, transaction: Transaction): Promise<void> {
    const { engine, log } = this.#parts;
    const { server } = destination;
    this.#counts.given_up++;
    log.warn({ destination: server, transaction: transaction.id }, 'a transaction is refused for good');
    if (transaction.rooms.length + transaction.users.length === 0) {
      if (!destination.isBehind) this.#fallBehind(destination);
      for (const eventId of transaction.pdus) {
        const roomId = engine.reader.events.get(eventId)?.pdu.roomId;
        if (roomId === undefined || destination.missedRooms.has(roomId)) continue;
        this.#backlog.put(
          destination.miss({
            kind: 'event',
            seq: transaction.upTo,
            eventId,
            roomId,
            leaving: new Set(),
            isPartial: false,
          }),
        );
      }
    }
    await this.#forget(destination, transaction);
  }

  /** Nothing is left to send: a row that says more than the position does is kept, no other. */
  async #finish(destination: Destination): Promise<void> {
    if (!destination.isIdle || !this.#backlog.hasRow(destination.server)) return;
    if (destination.sent > this.#backlog.lowest()) return;
    this.#backlog.deleteRow(destination.server);
    await this.#backlog.keep();
  }

  /** Presence is not said again by itself; typing is. */
  #keepPresence(destination: Destination, transaction: Transaction): void {
    if (transaction.typing.length + transaction.presence.length === 0) return;
    destination.transaction = isDurable(transaction)
      ? { ...transaction, typing: [], presence: [] }
      : undefined;
    if (destination.isBehind) return;
    for (const item of transaction.presence) {
      if (!destination.presence.has(item.userId)) destination.addPresence(item, this.#options.ephemeralMax);
    }
  }

  /** Failing for so long that nothing passing is worth keeping for it. */
  #isOut(server: ServerName): boolean {
    const failing = this.#parts.destinations.failing(server);
    return failing !== undefined && this.#parts.now() - failing.failingSince > this.#options.outageMs;
  }
}

function isDurable({ pdus, edus, toDevice, rooms, users }: Transaction): boolean {
  return pdus.length + edus.length + toDevice.length + rooms.length + users.length > 0;
}

function noteAnswer(
  log: FederationParts['log'],
  destination: ServerName,
  eventId: EventId,
  answer: unknown,
): void {
  if (typeof answer !== 'object' || answer === null || !('error' in answer)) return;
  log.info(
    { destination, event_id: eventId, answer: String(answer.error).slice(0, 200) },
    'an event was refused',
  );
}
