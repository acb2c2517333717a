// Which transactions came, and what they were answered: who sends one again gets the same answer, and nothing of
// it is done twice. The same rows remember the ids of messages to devices, which may come again in another one.
//
//   queue `federation_answers`    { origin, txnId, at, pdus, messageIds }
//
// It is bounded per server, over all and in time; servers send one transaction at a time and go on when it is
// answered, so that a few of each are enough.

import type { DurableQueue } from '../../core/queues.js';
import type { Engine } from '../../engine/engine.js';
import type { ServerName } from '../../event/ids.js';
import type { InputOptions } from './options.js';

const QUEUE = 'federation_answers';

/** What became of each event of a transaction, by id: undefined where it was taken. */
export type PduAnswers = ReadonlyMap<string, string | undefined>;

interface AnswerRow {
  readonly origin: ServerName;
  readonly txnId: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Pairs of event id and error; null where there was none. */
  readonly pdus: ReadonlyArray<readonly [eventId: string, error: string | null]>;
  readonly messageIds: readonly string[];
}

interface Remembered {
  readonly position: number;
  readonly at: number;
  readonly messageIds: readonly string[];
}

export class TransactionMemory {
  readonly #queue: DurableQueue<AnswerRow>;
  readonly #options: InputOptions;
  /** By server, then transaction, oldest first. The answers themselves stay on disk. */
  readonly #byServer = new Map<ServerName, Map<string, Remembered>>();
  readonly #messageIds = new Map<ServerName, Set<string>>();
  #count = 0;

  private constructor(engine: Engine, options: InputOptions) {
    this.#queue = engine.queue<AnswerRow>(QUEUE);
    this.#options = options;
  }

  static async open(engine: Engine, options: InputOptions): Promise<TransactionMemory> {
    const memory = new TransactionMemory(engine, options);
    for await (const [position, row] of memory.#queue.entries()) memory.#note(position, row);
    return memory;
  }

  /** The answer that a transaction was given before. */
  answer(origin: ServerName, txnId: string): PduAnswers | undefined {
    const remembered = this.#byServer.get(origin)?.get(txnId);
    const row = remembered === undefined ? undefined : this.#queue.get(remembered.position);
    return row && new Map(row.pdus.map(([eventId, error]) => [eventId, error ?? undefined]));
  }

  /** Did the server send a message of this id already? */
  hasMessage(origin: ServerName, messageId: string): boolean {
    return this.#messageIds.get(origin)?.has(messageId) ?? false;
  }

  /**
   * Keeps an answer. It is handed to the writer at once: what is written in the same turn lands with it.
   * @throws STORE_WRITE_FAILED
   */
  async keep(
    origin: ServerName,
    txnId: string,
    at: number,
    pdus: PduAnswers,
    messageIds: readonly string[],
  ): Promise<void> {
    const row: AnswerRow = {
      origin,
      txnId,
      at,
      pdus: [...pdus].map(([eventId, error]) => [eventId, error ?? null]),
      messageIds,
    };
    // Noted before it is written, so that the same message in two transactions at once is one.
    const ids = this.#messageIdsOf(origin);
    for (const id of messageIds) ids.add(id);
    try {
      const [position] = await this.#queue.add([row]);
      if (position !== undefined) this.#note(position, row);
    } catch (error) {
      for (const id of messageIds) ids.delete(id);
      throw error;
    }
    await this.#queue.remove(this.#tooMany(origin, at));
  }

  #note(position: number, { origin, txnId, at, messageIds }: AnswerRow): void {
    const ofServer = this.#byServer.get(origin) ?? new Map<string, Remembered>();
    // Servers in the order in which they were heard last, for the oldest to go first.
    this.#byServer.delete(origin);
    this.#byServer.set(origin, ofServer);
    ofServer.set(txnId, { position, at, messageIds });
    const ids = this.#messageIdsOf(origin);
    for (const id of messageIds) ids.add(id);
    this.#count++;
  }

  /** Forgets what is too old or too much; gives the positions. */
  #tooMany(origin: ServerName, now: number): number[] {
    const positions: number[] = [];
    let tooMany = (this.#byServer.get(origin)?.size ?? 0) - this.#options.answersOfServerMax;
    for (; tooMany > 0; tooMany--) positions.push(...this.#forgetOldest(origin));
    for (const [server, remembered] of this.#byServer) {
      const newest = [...remembered.values()].at(-1);
      const isOld = newest !== undefined && newest.at + this.#options.answersKeptMs < now;
      if (!isOld && this.#count <= this.#options.answersMax) break;
      while (this.#byServer.has(server)) positions.push(...this.#forgetOldest(server));
    }
    return positions;
  }

  #forgetOldest(origin: ServerName): number[] {
    const ofServer = this.#byServer.get(origin);
    const [oldest] = ofServer ?? [];
    if (ofServer === undefined || oldest === undefined) return [];
    const [txnId, { position, messageIds }] = oldest;
    ofServer.delete(txnId);
    this.#count--;
    const ids = this.#messageIdsOf(origin);
    for (const id of messageIds) ids.delete(id);
    if (ofServer.size === 0) {
      this.#byServer.delete(origin);
      this.#messageIds.delete(origin);
    }
    return [position];
  }

  #messageIdsOf(origin: ServerName): Set<string> {
    const existing = this.#messageIds.get(origin);
    if (existing !== undefined) return existing;
    const ids = new Set<string>();
    this.#messageIds.set(origin, ids);
    return ids;
  }
}
